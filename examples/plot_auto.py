"""
Forecast without settings
=========================

`AutoESNForecaster` looks at the rows and decides what they are: the Lorenz system is forecast
by networks in closed loop, sunspots by an average of pooled networks and classical lines.
Writes ``auto.png``.
"""

import matplotlib.pyplot as plt
import pandas as pd

from echocast.datasets import load_sunspots, lorenz63
from echocast.forecasting import AutoESNForecaster

flow = pd.DataFrame(lorenz63(660, dt=0.05), columns=["x", "y", "z"])
system = AutoESNForecaster(horizon=60, n_seeds=2, random_state=0).fit(flow.iloc[:600])
future = system.predict(60, level=80)

spots = load_sunspots()
series = AutoESNForecaster(horizon=11, random_state=0).fit(spots.iloc[:-11])
cycle = series.predict(11, level=80)

fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 6), layout="constrained")
top.plot(flow["x"].iloc[540:], color="0.6", label="Lorenz system, x")
top.plot(future["x"]["forecast"], label="forecast")
top.fill_between(future.index, future["x"]["lo-80"], future["x"]["hi-80"], alpha=0.3)
top.set(xlabel="step", title=f"taken for a {system.kind_}")
top.legend()
bottom.plot(spots.iloc[-60:], color="0.6", label="yearly sunspots")
bottom.plot(cycle["sunspots"], label="forecast")
bottom.fill_between(cycle.index, cycle["lo-80"], cycle["hi-80"], alpha=0.3)
bottom.set(xlabel="year", title=f"taken for {series.kind_}")
bottom.legend()
fig.savefig("auto.png")

error = (future.xs("forecast", axis=1, level=1) - flow.iloc[600:]).abs() / flow.std()
print("largest error over one Lyapunov time, in standard deviations:")
print(float(error.iloc[:22].max().max()))
assert error.iloc[:22].max().max() < 0.05
assert (system.kind_, series.kind_) == ("system", "series")
