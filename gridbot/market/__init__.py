"""Market data of the past, for backtests: per symbol and UTC day columns of whole numbers, memory-mapped.

Reading
    day.py            `Day`, and `ticks_of`, which makes one of arrays, without files
    pyramid.py        `Pyramid`: where the price next leaves an interval, without looking at each trade
    market_root.py    `Market`: the days below one directory
    day_files.py      the files of a day: written whole, checked, mapped
    day_document.py   `day.json`: what a day is, in words and numbers

Needs numpy and pyarrow (`pip install 'gridbot[backtest]'`). Nothing that trades imports it.
"""
