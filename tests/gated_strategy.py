"""A strategy whose signals a classifier lets through."""

TEXT = """
kind: crossover
symbols: [BTC-USDT, ETH-USDT]
interval: 1h
fast: 24
slow: 120
features:
  rsi_14: {use: rsi, window: 14}
  day_trend: {use: sma, window: 5, interval: 1d}
  move: {use: log_return, bars: 24}
  strength: {use: rank, of: move}
gate:
  inputs: [rsi_14, move, strength]
  label: {use: direction, horizon: 24}
  train_bars: 4000
  every_bars: 1000
  embargo_bars: 24
  threshold: 0.5
"""
