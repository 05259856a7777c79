const why={n:"no trade there",o:"exchange outage",v:"never fetched",l:"lost by us",u:"not known why"};
function draw(box){
  if(box.drawn)return; box.drawn=true;
  const one=JSON.parse(document.getElementById(box.dataset.of).textContent),grid=box.querySelector(".months");
  const start=new Date(one.first+"T00:00:00Z"),n=one.missing.length;let month="",row="";
  for(let at=0;at<n;at++){
    const day=new Date(start.getTime()+at*864e5),text=day.toISOString().slice(0,10),here=text.slice(0,7);
    if(here!==month){
      month=here;row++;
      const name=document.createElement("span");name.textContent=here;name.style.gridArea=row+"/1";grid.append(name);
    }
    const cell=document.createElement("i"),lacks=one.missing[at],share=1-lacks/one.a_day,letter=one.why[at];
    cell.style.gridArea=row+"/"+(day.getUTCDate()+1);
    cell.style.background=lacks?`color-mix(in oklab,var(--${letter}) ${Math.round(35+65*(1-share))}%,var(--full))`
      :"var(--full)";
    cell.title=text+": "+(one.a_day-lacks)+" of "+one.a_day+" bars"+(lacks?", "+lacks+" missing ("+why[letter]+")":"");
    grid.append(cell);
  }
}
document.querySelectorAll("details.series").forEach(box=>{
  if(box.open)draw(box);box.addEventListener("toggle",()=>{if(box.open)draw(box)});
});
