"""Market data of the past, for backtests: per symbol and UTC day columns of whole numbers, memory-mapped.

Reading
    day.py             `Day`, and `ticks_of`, which makes one of arrays, without files
    pyramid.py         `Pyramid`: where the price next leaves an interval, without looking at each trade
    market_root.py     `Market`: the days below one directory
    day_files.py       the files of a day: written whole, checked, mapped
    day_document.py    `day.json`: what a day is, in words and numbers
    market_error.py    what goes wrong, for people
    day_check.py       what is wrong with days; parquet_days.py: days as Parquet

Importing
    importer.py        from files to days; archive.py: from Bybit's archive, by download.py
    input_files.py     which files, and who reads them: table_files.py, answer_files.py, record_files.py
    column_layout.py   which columns are what; text_columns.py: text as whole numbers
    row_reading.py     text columns to rows of days; candle_ticks.py: candles as ticks
    rule_book.py       which rules of the instrument hold
    day_rows.py        rows of days; day_spool.py: kept by day, on the disk when there are many
    day_build.py       order, duplicates, gaps; day_writing.py: what becomes of a day

Needs numpy and pyarrow (the extra `backtest`). Nothing that trades imports it.
"""
