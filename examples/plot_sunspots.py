"""Forecast a solar cycle with prediction intervals, and compare with seasonal naive.

One forecast looks good or bad by chance, so both methods are judged from ten origins, each
knowing only the years before it. Writes ``sunspots.png``.
"""

import matplotlib.pyplot as plt

from echocast.datasets import load_sunspots
from echocast.forecasting import ESNForecaster, NaiveForecaster, backtest

y = load_sunspots()  # yearly means, 1700 to 2008
network = ESNForecaster(season_length=11, random_state=0)
naive = NaiveForecaster("seasonal", season_length=11)

scores = {}
for name, forecaster in (("network", network), ("seasonal naive", naive)):
    scores[name] = backtest(forecaster, y, horizon=11, n_windows=10, level=80).summary()
    print(
        f"{name:15s} MASE {scores[name]['mase']:.2f}, "
        f"80 % interval holds {scores[name]['coverage-80']:.0%}"
    )

train, test = y[:"1997"], y["1998":]
forecast = network.fit(train).predict(len(test), level=[80, 95])
baseline = naive.fit(train).predict(len(test))

figure, ax = plt.subplots(figsize=(9, 3.5), layout="constrained")
years = forecast.index.year
for level, alpha in ((95, 0.18), (80, 0.32)):
    low, high = forecast[f"lo-{level}"], forecast[f"hi-{level}"]
    ax.fill_between(years, low, high, color="#0072B2", alpha=alpha, lw=0, label=f"{level} %")
shown = y["1950":]
ax.plot(shown.index.year, shown, color="black", marker=".", lw=1.2, label="observed")
ax.plot(years, forecast["sunspots"], color="#0072B2", lw=1.8, label="network")
ax.plot(years, baseline, color="#D55E00", lw=1.2, ls="--", label="seasonal naive")
ax.set(xlabel="year", ylabel="yearly mean sunspot number")
ax.legend(ncols=5, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
figure.savefig("sunspots.png")

ratio = scores["network"]["mase"] / scores["seasonal naive"]["mase"]
print(f"error of the network: {ratio:.2f} of that of seasonal naive")
assert ratio < 1
