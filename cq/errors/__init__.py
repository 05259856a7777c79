"""Everything that can go wrong for a user, as one tree.

    CqError                      exit code
    ├── CheckFailed                      1
    ├── UsageError                       2
    │   ├── ConfigError
    │   ├── StrategyError
    │   └── JournalDiffers
    ├── DataError                        3
    │   ├── NoSuchFile
    │   ├── UnknownLayout
    │   ├── Stumbled
    │   ├── UnknownSymbol
    │   ├── EmptyDataset
    │   ├── NoBars
    │   ├── NoLake
    │   ├── TooFew
    │   ├── LakeBusy
    │   ├── CompactionFailed
    │   ├── MissingExtra
    │   ├── StorageUnreachable
    │   ├── CannotDo
    │   ├── Unreadable
    │   ├── LakeUnwritable
    │   │   ├── CannotExchange
    │   │   └── CatalogUnwritable
    │   ├── NoJournal
    │   ├── JournalBusy
    │   ├── JournalDamaged
    │   └── JournalUnreadable
    ├── ExchangeError                    4
    │   ├── Transient
    │   │   ├── RateLimited
    │   │   ├── Unavailable
    │   │   └── Unreachable
    │   ├── NeverConnected
    │   ├── OutcomeUnknown
    │   ├── Refused
    │   │   ├── NoSuchMarket
    │   │   └── LoginRefused
    │   ├── BarsNotKept
    │   └── TradesMissing
    └── RiskStopped                      5

A message is one line: what was found, what was expected, what to type next.
"""

from cq.errors.data import (
    CannotDo,
    CannotExchange,
    CatalogUnwritable,
    CompactionFailed,
    EmptyDataset,
    LakeBusy,
    LakeUnwritable,
    MissingExtra,
    NoBars,
    NoLake,
    NoSuchFile,
    StorageUnreachable,
    Stumbled,
    TooFew,
    UnknownLayout,
    UnknownSymbol,
    Unreadable,
)
from cq.errors.exchanges import (
    BarsNotKept,
    ExchangeError,
    LoginRefused,
    NeverConnected,
    NoSuchMarket,
    OutcomeUnknown,
    RateLimited,
    Refused,
    TradesMissing,
    Transient,
    Unavailable,
    Unreachable,
)
from cq.errors.journals import (
    JournalBusy,
    JournalDamaged,
    JournalDiffers,
    JournalUnreadable,
    NoJournal,
)
from cq.errors.roots import (
    CheckFailed,
    ConfigError,
    CqError,
    DataError,
    RiskStopped,
    StrategyError,
    UsageError,
)

__all__ = [
    "BarsNotKept",
    "CannotDo",
    "CannotExchange",
    "CatalogUnwritable",
    "CheckFailed",
    "CompactionFailed",
    "ConfigError",
    "CqError",
    "DataError",
    "EmptyDataset",
    "ExchangeError",
    "JournalBusy",
    "JournalDamaged",
    "JournalDiffers",
    "JournalUnreadable",
    "LakeBusy",
    "LakeUnwritable",
    "LoginRefused",
    "MissingExtra",
    "NeverConnected",
    "NoBars",
    "NoJournal",
    "NoLake",
    "NoSuchFile",
    "NoSuchMarket",
    "OutcomeUnknown",
    "RateLimited",
    "Refused",
    "RiskStopped",
    "StorageUnreachable",
    "StrategyError",
    "Stumbled",
    "TooFew",
    "TradesMissing",
    "Transient",
    "Unavailable",
    "UnknownLayout",
    "UnknownSymbol",
    "Unreachable",
    "Unreadable",
    "UsageError",
]
