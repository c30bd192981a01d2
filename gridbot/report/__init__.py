"""The report of one account over a span as one HTML file: of a live session, a paper session or a backtest.

    report_span       what is asked for: account, from, to, strategy
    questions         the SQL, whose answers are thinned so that a year's fit (`span_sql`, `money_questions`,
                      `position_questions`, `event_questions`); `facts` are the rows that it answers with
    money_split, holding, profit_places, positions_over_time, worst_moments, cautions, settings_shown
                      all figures of the page: pure functions of the facts, money in Decimal
    chart_series      what the charts draw
    page_text         figures as text; `headline` and `report_page` make the page, `page_assets` has its script

The browser only draws. `vendor/uplot` is uPlot as its authors have published it, with its licence.
"""
