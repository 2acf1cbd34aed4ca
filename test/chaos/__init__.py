"""Breaking the running service on purpose, and checking afterwards that it kept every promise.

A run (`campaign`) starts the real service (`stack`, kept running by `keeper`), lets users work with it (`load`,
`client`, `pictures`) while things break (`faults`, chosen by `injector`), and writes down what happens (`history`).
Afterwards the rules (`checker`) are held against that, against what MongoDB logged of every job (`witness`) and against
what a quiet process makes of every picture (`oracle`); `recovery` and `leftovers` measure, `report` tells.
"""
