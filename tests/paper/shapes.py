"""Field sets of our own, from docs/bybit.md 2.7: name to example of its kind.

`t` is text, `i` a number, `b` a boolean; they stand for values of that kind.
"""

from __future__ import annotations

from typing import Any

t, i, b = "text", 1, True


def fields(text: str = "", numbers: str = "", flags: str = "", **others: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(text.split(), t)
    row |= dict.fromkeys(numbers.split(), i)
    row |= dict.fromkeys(flags.split(), b)
    return row | others


ORDER = fields(
    "orderId orderLinkId parentOrderLinkId blockTradeId symbol price qty side isLeverage orderStatus createType "
    "cancelType rejectReason avgPrice leavesQty leavesValue cumExecQty cumExecValue cumExecFee timeInForce orderType "
    "stopOrderType orderIv marketUnit triggerPrice takeProfit stopLoss tpslMode tpLimitPrice slLimitPrice tpTriggerBy "
    "slTriggerBy triggerBy lastPriceOnCreated smpType smpOrderId placeType createdTime updatedTime ocoTriggerBy "
    "slippageToleranceType slippageTolerance smpGroup",
    "positionIdx triggerDirection",
    "reduceOnly closeOnTrigger",
    cumFeeDetail={},
)
RPI = fields("rpiMatchedQty", flags="rpiTakerAccess")
"""Fields of history and stream; order/realtime has neither."""
EXECUTION = fields(
    "symbol orderId orderLinkId side orderPrice orderQty leavesQty createType orderType stopOrderType execFee execId "
    "execPrice execQty execType execValue execTime feeCurrency feeRate tradeIv markIv markPrice indexPrice "
    "underlyingPrice blockTradeId closedSize marketUnit",
    "seq",
    "isMaker",
)
POSITION = fields(
    "riskLimitValue symbol side size positionValue positionStatus leverage breakEvenPrice positionBalance markPrice "
    "liqPrice bustPrice positionMM positionMMByMp positionIM positionIMByMp tpslMode takeProfit stopLoss trailingStop "
    "unrealisedPnl curRealisedPnl cumRealisedPnl mmrSysUpdatedTime leverageSysUpdatedTime sessionAvgPrice createdTime "
    "updatedTime netDeltaRatio",
    "positionIdx riskId tradeMode autoAddMargin adlRankIndicator seq openTime",
    "isReduceOnly",
)
WALLET = fields(
    "accountType accountIMRate accountIMRateByMp accountMMRate accountMMRateByMp totalEquity totalWalletBalance "
    "totalMarginBalance totalAvailableBalance totalPerpUPL totalInitialMargin totalInitialMarginByMp "
    "totalMaintenanceMargin totalMaintenanceMarginByMp accountLTV",
    coin=[
        fields(
            "coin equity usdValue walletBalance locked spotHedgingQty borrowAmount accruedInterest totalOrderIM "
            "totalPositionIM totalPositionMM unrealisedPnl cumRealisedPnl bonus colRes spotBorrow free "
            "availableToWithdraw availableToBorrow",
            flags="collateralSwitch marginCollateral",
        )
    ],
)
TICKER = fields(
    "symbol lastPrice indexPrice markPrice prevPrice24h price24hPcnt highPrice24h lowPrice24h prevPrice1h openInterest "
    "openInterestValue singleOpenInterest singleOpenInterestValue turnover24h volume24h fundingRate nextFundingTime "
    "ask1Price ask1Size bid1Price bid1Size preOpenPrice preQty curPreListingPhase fundingIntervalHour fundingCap"
)
INSTRUMENT = fields(
    "symbol contractType status baseCoin quoteCoin settleCoin symbolType launchTime deliveryTime deliveryFeeRate "
    "priceScale copyTrading upperFundingRate lowerFundingRate displayName fullName marketRegion underlyingTicker",
    "symbolId fundingInterval",
    "unifiedMarginTrade forbidUplWithdrawal isPreListing",
    leverageFilter=fields("minLeverage maxLeverage leverageStep"),
    priceFilter=fields("minPrice maxPrice tickSize"),
    lotSizeFilter=fields("minOrderQty maxOrderQty maxMktOrderQty qtyStep minNotionalValue postOnlyMaxOrderQty"),
    riskParameters=fields("priceLimitRatioX priceLimitRatioY"),
    tags=[],
)

ENDPOINTS: dict[str, Any] = {
    "/v5/market/time": fields("timeSecond timeNano"),
    "/v5/market/instruments-info": fields("category nextPageCursor", list=[INSTRUMENT]),
    "/v5/market/tickers": fields(
        "category",
        list=[TICKER | fields("predictedDeliveryPrice basisRate basis basisRateYear deliveryFeeRate deliveryTime")],
    ),
    "/v5/market/orderbook": fields("s", "ts u seq cts", b=[["1", "1"]], a=[["1", "1"]]),
    "/v5/market/kline": fields("symbol category", list=[["1", "1", "1", "1", "1", "1", "1"]]),
    "/v5/market/recent-trade": fields(
        "category", list=[fields("execId symbol price size side time seq", flags="isBlockTrade isRPITrade")]
    ),
    "/v5/market/risk-limit": fields(
        "category nextPageCursor",
        list=[
            fields("symbol riskLimitValue maintenanceMargin initialMargin maxLeverage mmDeduction", "id isLowestRisk")
        ],
    ),
    "/v5/market/price-limit": fields("symbol buyLmt sellLmt ts"),
    "/v5/market/funding/history": fields("category", list=[fields("symbol fundingRate fundingRateTimestamp")]),
    "/v5/account/fee-rate": {"list": [fields("symbol takerFeeRate makerFeeRate")]},
    "/v5/account/wallet-balance": {"list": [WALLET]},
    "/v5/account/info": fields(
        "marginMode updatedTime dcpStatus spotHedgingStatus",
        "unifiedMarginStatus timeWindow smpGroup",
        "isMasterTrader",
    ),
    "/v5/account/user-setting-config": fields("", "smpType", "lpaSpot lpaPerp deltaEnable smsef fmsef"),
    "/v5/account/instruments-info": fields(
        "category nextPageCursor", list=[INSTRUMENT | fields(flags="isPublicRpi myRpiPermission")]
    ),
    "/v5/position/list": fields("category nextPageCursor", list=[POSITION | fields("avgPrice")]),
    "/v5/position/closed-pnl": fields(
        "category nextPageCursor",
        list=[
            fields(
                "symbol orderId side qty orderPrice orderType execType closedSize cumEntryValue avgEntryPrice "
                "cumExitValue avgExitPrice closedPnl fillCount leverage openFee closeFee createdTime updatedTime"
            )
        ],
    ),
    "/v5/account/transaction-log": fields(
        "nextPageCursor",
        list=[
            fields(
                "id symbol category side transactionTime type transSubType qty size currency tradePrice funding fee "
                "cashFlow change cashBalance feeRate bonusChange tradeId orderId orderLinkId extraFees displayType"
            )
        ],
    ),
    "/v5/market/mark-price-kline": fields("symbol category", list=[["1", "1", "1", "1", "1"]]),
    "/v5/market/index-price-kline": fields("symbol category", list=[["1", "1", "1", "1", "1"]]),
    "/v5/market/premium-index-price-kline": fields("symbol category", list=[["1", "1", "1", "1", "1"]]),
    "/v5/market/open-interest": fields("symbol category nextPageCursor", list=[fields("openInterest timestamp")]),
    "/v5/position/trading-stop": fields(),
    "/v5/order/pre-check": fields("orderId orderLinkId", "preImrE4 preMmrE4 postImrE4 postMmrE4"),
    "/v5/order/create": fields("orderId orderLinkId"),
    "/v5/order/amend": fields("orderId orderLinkId"),
    "/v5/order/cancel": fields("orderId orderLinkId"),
    "/v5/order/cancel-all": fields("success", list=[fields("orderId orderLinkId")]),
    "/v5/order/create-batch": {"list": [fields("category symbol orderId orderLinkId createAt")]},
    "/v5/order/amend-batch": {"list": [fields("category symbol orderId orderLinkId")]},
    "/v5/order/cancel-batch": {"list": [fields("category symbol orderId orderLinkId")]},
    "/v5/order/realtime": fields("category nextPageCursor", list=[ORDER]),
    "/v5/order/history": fields("category nextPageCursor", list=[ORDER | RPI | fields("extraFees")]),
    "/v5/execution/list": fields("category nextPageCursor", list=[EXECUTION | fields("extraFees")]),
    "/v5/user/query-api": fields(
        "id note apiKey secret expiredAt createdAt vipLevel mktMakerLevel rsaPublicKey parentUid kycLevel kycRegion",
        "readOnly type deadlineDay unified uta userID inviterID affiliateID",
        "isMaster isFixApi",
        permissions={"ContractTrade": ["text"]},
        ips=["text"],
    ),
}

ENVELOPE = fields("id topic", "creationTime")
TOPICS: dict[str, Any] = {
    "order": ENVELOPE | {"data": [ORDER | RPI | fields("category closedPnl feeCurrency")]},
    "execution": ENVELOPE | {"data": [EXECUTION | fields("category isLeverage execPnl") | {"extraFees": []}]},
    "position": ENVELOPE | {"data": [POSITION | fields("category entryPrice")]},
    "wallet": ENVELOPE | {"data": [WALLET]},
    "execution.fast": fields(
        "topic",
        "creationTime",
        data=[fields("category symbol execId execPrice execQty orderId orderLinkId side execTime", "seq", "isMaker")],
    ),
    "priceLimit snapshot": fields("topic", "ts", data=fields("symbol buyLmt sellLmt")),
    "allLiquidation snapshot": fields("topic type", "ts", data=[fields("s S v p", "T")]),
    "tickers snapshot": fields("topic type", "cs ts", data=TICKER | fields("tickDirection")),
    "orderbook snapshot": fields("topic type", "ts cts", data=fields("s", "u seq", b=[["1", "1"]], a=[["1", "1"]])),
    "publicTrade snapshot": fields("topic type", "ts", data=[fields("s S v p L i", "T seq", "BT RPI")]),
    "kline snapshot": fields(
        "topic type",
        "ts",
        data=[fields("interval open close high low volume turnover", "start end timestamp", "confirm")],
    ),
}
