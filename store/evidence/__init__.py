"""Is it luck? What may be claimed from a history of trades, and what may not.

`grid` says which facts known at entry are looked at, `dependence` how much less than they
count trades weigh that share a day or a month, `luck` how often chance alone does as well,
`shrinkage` what a rate is worth after it was picked; `conditions`, `scores`, `strategies`
and `setups` put them together, one question each. All are pure functions of plain columns.

The modules that compute with arrays import numpy, which costs 0.1 s: who asks a question
imports them inside the function that needs them, so that a server starts without.
"""
