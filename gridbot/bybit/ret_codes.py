"""Bybit's return codes and what each asks of us (docs/bybit.md 4.1-4.3). A table, nothing else."""

from __future__ import annotations

from gridbot.exchange.failures import ErrorKind, Outcome

__all__ = ["OUTCOMES_BY_CODE", "RET_CODES"]


def _codes(text: str) -> set[int]:
    """Numbers and ranges, like "1-3 7"."""
    found: set[int] = set()
    for part in text.split():
        first, _, last = part.lstrip("-").partition("-")
        sign = -1 if part.startswith("-") else 1
        found.update(range(sign * int(first), sign * int(last or first) + 1))
    return found


_BY_KIND = {
    ErrorKind.RATE_LIMIT: "10006 10403 20003 170005 170222",
    ErrorKind.IP_BAN: "10018",
    ErrorKind.RETRY: "-1 10002 10019 3400214 110035 110063 110073 110079 110118 170144 170191 170212",
    ErrorKind.AMBIGUOUS: "429 10000 10016 10429 500000 170001 170007 170032 170146 170147 170149 170150 170234 170310",
    ErrorKind.RESYNC: "40004 110005 110017 110024 110028 110033 110034 110048 110064 110085 170210",
    ErrorKind.AUTH: "10003-10005 10007 10010 33004 -2015 110018",
    ErrorKind.DUPLICATE: "10014 20006 110030 110072 170141",
    ErrorKind.NOT_FOUND: "110001 110008 110010 175007 170139 170142 170143 170190 170213",
    ErrorKind.BALANCE: (
        "110004 110006 110007 110011 110012 110014 110039 110040 110044-110047 110051-110053 110131 3400139 "
        "182011 3200641 "
        "170033 170131 170228 170229"
    ),
    ErrorKind.PARAM: (
        "10001 10017 10404 30208 30209 110003 110009 110013 110015 110016 110019 110020 110022 110029 110031 "
        "110032 110036 110037 110038 110041 110049 110050 110054-110062 110065 110076-110078 110082 110083 110086 "
        "110087 110090 110092-110094 110108 110109 110119-110121 170003 170105 170115-170117 170121 170124 170130 "
        "170132-170134 170136 170137 170140 170148 170192-170194 170201 170341 170371 170372 170381 170382 170810 "
        "3400045"
    ),
    ErrorKind.NOOP: "20001 34040 110025 110026 110027 110043",
    ErrorKind.SYMBOL: "30228 110023 110042 110066 110074 110095-110099 110103",
    ErrorKind.HALT: (
        "10008 10009 10020 10024 10027-10029 100028 110021 110067-110071 110080 110088 110089 110100 "
        "110123-110125 110132 110135-110137 3100197 3200425 170031 170151 170157 170219 170227"
    ),
}

RET_CODES: dict[int, ErrorKind] = {code: kind for kind, text in _BY_KIND.items() for code in _codes(text)}

OUTCOMES_BY_CODE: dict[int, Outcome] = {
    # The gateway says that it saw this request before, not what became of it.
    10014: Outcome.UNKNOWN,
    20006: Outcome.UNKNOWN,
    # Refused by a restarting or overloaded gateway: probably before the engine, but that is not documented.
    10019: Outcome.UNKNOWN,
    10403: Outcome.UNKNOWN,
    20003: Outcome.UNKNOWN,
    170005: Outcome.UNKNOWN,
}
