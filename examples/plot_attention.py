"""Learn to write dates, and look at what the network looks at while it writes.

Dates like "3 May 1987" and "May 3, 1987" are to be written as 1987-05-03. The decoder writes from
left to right, but has to read the year first, then the month, then the day, wherever they stand.
Nobody tells it where: the map of attention shows that it has found out. Writes ``attention.png``.
"""

from datetime import date, timedelta

import matplotlib.pyplot as plt
import numpy as np

from echocast.reservoir import AttentionDisplay, Seq2SeqTransducer

MONTHS = "January February March April May June July August September October November December"

rng = np.random.RandomState(0)
days = [date(1900, 1, 1) + timedelta(days=int(k)) for k in rng.permutation(54000)[:2600]]
texts = []
for day in days:
    month = MONTHS.split()[day.month - 1]
    day_first = rng.random_sample() < 0.5
    texts.append(f"{day.day} {month} {day.year}" if day_first else f"{month} {day.day}, {day.year}")
written = [day.isoformat() for day in days]

model = Seq2SeqTransducer(attention="additive", max_iter=6, random_state=0)
model.fit(texts[:2400], written[:2400])
right = model.score(texts[2400:], written[2400:])

figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for ax, text in zip(axes, ("3 May 1987", "December 24, 2031")):
    AttentionDisplay.from_estimator(model, text, ax=ax, cmap="Blues")
    ax.set_title(f"{text!r}")
figure.savefig("attention.png", dpi=110)

print(f"{right:.1%} of 200 new dates are written without a mistake")
assert right > 0.95
