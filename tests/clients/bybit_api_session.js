// One session of npm's bybit-api on the paper exchange: every call and topic that it has for linear perpetuals.
// node bybit_api_session.js URL WS_URL KEY SECRET; prints one JSON object: what each call and topic came to.

const { RestClientV5, WebsocketClient, WebsocketAPIClient } = require("bybit-api");

const [url, wsUrl, key, secret, token] = process.argv.slice(2);
const keys = { key, secret };
const quiet = { trace() {}, info() {}, error: (...words) => console.error(...words) };
const rest = new RestClientV5({ ...keys, baseUrl: url });
const BTC = { category: "linear", symbol: "BTCUSDT" };
const LINEAR = { category: "linear" };
const USDT = { category: "linear", settleCoin: "USDT" };
const found = { calls: {}, topics: {}, trade: {}, orders: {} };

async function control(action, fields) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ action, ...fields });
  const answer = await fetch(url + "/paper/control", { method: "POST", headers, body });
  if (!answer.ok) throw new Error(`${action}: ${await answer.text()}`);
}

async function call(method, ...args) {
  const answer = await rest[method](...args).catch((error) => error);
  found.calls[method] = { code: answer.retCode ?? answer.code, text: answer.retMsg ?? answer.message ?? String(answer) };
  return answer.result ?? {};
}

async function ask(path, params) {  // a call that has no method of its own
  const answer = await rest.getPrivate(path, params);
  found.calls[path] = { code: answer.retCode, text: answer.retMsg };
}

async function post(path, params) {
  const answer = await rest.postPrivate(path, params);
  found.calls[path] = { code: answer.retCode, text: answer.retMsg };
}

function limit(price, more = {}) {
  return { ...BTC, side: "Buy", orderType: "Limit", qty: "0.010", price, timeInForce: "PostOnly", positionIdx: 1, ...more };
}

async function publicCalls() {
  await call("getServerTime");
  await control("maintain", { id: "1", state: "scheduled" });
  await call("getSystemStatus");
  for (const name of ["getKline", "getMarkPriceKline", "getIndexPriceKline", "getPremiumIndexPriceKline"]) {
    await call(name, { ...BTC, interval: "1" });
  }
  for (const name of ["getInstrumentsInfo", "getOrderbook", "getFullDepthOrderbook", "getTickers", "getRiskLimit"]) {
    await call(name, BTC);
  }
  for (const name of ["getFundingRateHistory", "getPublicTradingHistory", "getDeliveryPrice", "getOrderPriceLimit"]) {
    await call(name, BTC);
  }
  await call("getRPIOrderbook", { ...BTC, limit: 50 });
  await call("getOpenInterest", { ...BTC, intervalTime: "5min" });
  await call("getLongShortRatio", { ...BTC, period: "1h" });
  await call("getInsurance");
  await call("getIndexPriceComponents", { indexName: "BTCUSDT" });
  await call("getADLAlert", { symbol: "BTCUSDT" });
  await call("getFeeGroupStructure", { productType: "contract" });
}

async function orders() {
  const first = await call("submitOrder", limit("59000.00", { orderLinkId: "node-1" }));
  await call("amendOrder", { ...BTC, orderId: first.orderId, price: "58900.00" });
  found.orders.amended = (await call("getActiveOrders", BTC)).list.map((order) => order.price);
  await call("cancelOrder", { ...BTC, orderLinkId: "node-1" });
  const batch = await rest.batchSubmitOrders("linear", [limit("58000.00"), limit("58001.00", { qty: "5000" })]);
  found.calls.batchSubmitOrders = { code: batch.retCode, text: batch.retMsg };
  found.orders.batch = batch.retExtInfo.list.map((item) => item.code);
  const { orderId } = batch.result.list[0];
  await call("batchAmendOrders", "linear", [{ symbol: "BTCUSDT", orderId, price: "58100.00" }]);
  await call("batchCancelOrders", "linear", [{ symbol: "BTCUSDT", orderId }]);
  await call("preCheckOrder", limit("58000.00"));
  await call("submitOrder", limit("57000.00"));
  found.orders.cancelled = (await call("cancelAllOrders", USDT)).list.length;
}

async function isolated(close) {  // both legs with margins of their own, closed again
  const long = { ...BTC, positionIdx: 1 };
  const short = { ...BTC, positionIdx: 2 };
  const usdt = async () => (await call("getWalletBalance", { accountType: "UNIFIED" })).list[0];
  const legs = async () => (await call("getPositionInfo", BTC)).list;
  await call("setMarginMode", "ISOLATED_MARGIN");
  await call("setLeverage", { ...BTC, buyLeverage: "20", sellLeverage: "5" });
  const before = (await usdt()).coin[0].walletBalance;
  await call("submitOrder", { ...long, side: "Buy", orderType: "Market", qty: "0.010" });
  await call("submitOrder", { ...short, side: "Sell", orderType: "Market", qty: "0.010" });
  await call("setAutoAddMargin", { ...long, autoAddMargin: 1 });
  const [first, second] = await legs();
  const added = await call("addOrReduceMargin", { ...long, margin: "10" });
  const held = await usdt();
  found.isolated = {
    leverage: [first.leverage, second.leverage],
    auto: [first.autoAddMargin, second.autoAddMargin],
    added: [added.positionIM - first.positionIM, first.liqPrice - added.liqPrice],
    fields: Object.keys(added).sort().join(" "),
    account: [held.totalAvailableBalance, held.accountIMRate, held.totalInitialMargin],
    set_aside: held.coin[0].totalPositionIM - added.positionIM - second.positionIM,
  };
  await call("submitOrder", { ...close, positionIdx: 1 });
  await call("submitOrder", { ...close, side: "Buy", positionIdx: 2 });
  const closed = (await call("getClosedPnL", { ...LINEAR, limit: 2 })).list;
  const made = closed.reduce((sum, row) => sum + Number(row.closedPnl), 0);
  found.isolated.lost = (await usdt()).coin[0].walletBalance - before - made;
  await call("setMarginMode", "REGULAR_MARGIN");
}

async function positions() {
  await call("submitOrder", limit("59900.00", { orderLinkId: "node-fill" }));
  await control("trade", { symbol: "BTCUSDT", price: "59800.00", size: "1", side: "Sell" });
  found.orders.held = (await call("getPositionInfo", BTC)).list.map((leg) => [leg.positionIdx, leg.size]);
  const stop = { takeProfit: "70000.00", stopLoss: "50000.00", tpslMode: "Full", positionIdx: 1 };
  await call("setTradingStop", { ...BTC, ...stop });
  await control("settle_funding", { symbol: "BTCUSDT", rate: "0.0001" });
  const close = { ...BTC, side: "Sell", orderType: "Market", qty: "0", reduceOnly: true, closeOnTrigger: true };
  await call("submitOrder", { ...close, positionIdx: 1 });
  found.orders.executions = (await call("getExecutionList", LINEAR)).list.map((row) => row.execType);
  found.orders.closed = (await call("getClosedPnL", LINEAR)).list.length;
  await call("getHistoricOrders", LINEAR);
  await call("getFuturesLeverage", BTC);
  await control("cut_risk", { account: "alice", symbol: "BTCUSDT", positionIdx: 1, reduce_only: true });
  await call("confirmNewRiskLimit", BTC);
  await call("movePosition", { fromUid: "1", toUid: "2", list: [] });
  await call("getMovePositionHistory", {});
  await isolated(close);
  await call("switchIsolatedMargin", { ...BTC, tradeMode: 1, buyLeverage: "10", sellLeverage: "10" });
  await call("setTPSLMode", { ...BTC, tpSlMode: "Full" });
  await call("setRiskLimit", { ...BTC, riskId: 1, positionIdx: 1 });
}

async function account() {
  await call("switchPositionMode", { ...LINEAR, coin: "USDT", mode: 3 });
  await call("setLeverage", { ...BTC, buyLeverage: "7", sellLeverage: "7" });
  await call("getWalletBalance", { accountType: "UNIFIED" });
  await call("getTransferableAmount", { coinName: "USDT" });
  await call("getAccountInstrumentsInfo", LINEAR);
  await call("getCollateralInfo");
  await call("getFeeRate", BTC);
  await call("getAccountInfo");
  await call("getDCPInfo");
  await call("setDisconnectCancelAllWindow", "linear", 30);
  await call("getTransactionLog", { accountType: "UNIFIED" });
  await call("getSMPGroup");
  await call("setMarginMode", "REGULAR_MARGIN");
  await call("setLimitPriceAction", { ...LINEAR, modifyEnable: true });
  await call("getLimitPriceAction");
  await call("getTradeInfoForAnalysis", { symbol: "BTCUSDT" });
  const { userID } = await call("getQueryApiKey");
  await ask("/v5/apilimit/query", { uids: String(userID) });
  await ask("/v5/apilimit/query-cap", {});
  await ask("/v5/apilimit/query-all", {});
  const wish = { uids: String(userID), bizType: "DERIVATIVES", rate: 20 };
  await post("/v5/apilimit/set", { list: [wish] });
}

async function assets() {
  await call("submitOrder", { ...limit("2600.00"), symbol: "ETHUSDT", qty: "0.10", timeInForce: "IOC" });
  await control("delist", { symbol: "ETHUSDT", in_s: 0 });
  await ask("/v5/announcements/index", { locale: "en-US", type: "delistings" });
  await call("getDeliveryPrice", { ...LINEAR, settleCoin: "USDT" });
  found.orders.delivered = (await call("getDeliveryRecord", LINEAR)).list.map((row) => row.symbol);
  await call("getCoinInfo", "USDT");
  await call("getAllCoinsBalance", { accountType: "UNIFIED", coin: "USDT" });
  await call("getCoinBalance", { accountType: "UNIFIED", coin: "USDT" });
  await call("getTransferableCoinList", "UNIFIED", "FUND");
  const id = "5b2c7a90-0000-4000-8000-000000000001";
  await call("createInternalTransfer", id, "USDT", "1", "UNIFIED", "FUND");
  await call("getInternalTransferRecords", {});
  const members = { fromMemberId: 1, toMemberId: 2, fromAccountType: "UNIFIED", toAccountType: "FUND" };
  await call("createUniversalTransfer", { transferId: id, coin: "USDT", amount: "1", ...members });
  await call("getUniversalTransferRecords", {});
  await call("getDepositRecords", {});
  await call("getWithdrawalRecords", {});
}

async function orderEntry() {
  const trade = new WebsocketAPIClient({ ...keys, wsUrl: wsUrl + "/v5/trade", attachEventListeners: false }, quiet);
  const note = (name) => (answer) => {
    found.trade[name] = answer.retCode;
    return answer;
  };
  const fail = (name) => (error) => {
    found.trade[name] = error.retCode ?? String(error);
  };
  const first = await trade.submitNewOrder(limit("57000.00")).then(note("order.create"));
  const id = { ...BTC, orderId: first.data.orderId };
  await trade.amendOrder({ ...id, price: "57100.00" }).then(note("order.amend"));
  await trade.cancelOrder(id).then(note("order.cancel"));
  await trade.cancelOrder(id).then(note("again"), fail("again"));
  await trade.submitNewOrder(limit("57000.00", { qty: "900.000" })).then(note("too much"), fail("too much"));
  const batch = await trade.batchSubmitOrders("linear", [limit("56000.00"), limit("56100.00")]);
  found.trade["order.create-batch"] = batch.retCode;
  const items = batch.data.list.map(({ orderId }) => ({ symbol: "BTCUSDT", orderId }));
  await trade.batchAmendOrder("linear", items.map((item) => ({ ...item, qty: "0.020" }))).then(note("order.amend-batch"));
  await trade.batchCancelOrder("linear", items).then(note("order.cancel-batch"));
  trade.getWSClient().closeAll(true);
}

function listen(path, topics) {
  const client = new WebsocketClient({ ...keys, market: "v5", wsUrl: wsUrl + path }, quiet);
  const missing = new Set(topics);
  const refused = [];
  const done = new Promise((resolve) => {
    client.on("update", ({ topic }) => {
      found.topics[topic] = (found.topics[topic] ?? 0) + 1;
      missing.delete(topic);
      if (!missing.size) resolve();
    });
  });
  let subscribed;
  const ready = new Promise((resolve) => (subscribed = resolve));
  client.on("response", (answer) => {
    if (answer.success === false) refused.push(answer.ret_msg);
    if (answer.op === "subscribe") subscribed();
  });
  client.on("exception", (error) => {
    refused.push(JSON.stringify(error));
    subscribed();
  });
  client.subscribeV5(topics, "linear");
  return { client, ready, done, missing, refused };
}

async function main() {
  const names = ["tickers", "publicTrade", "orderbook.1", "orderbook.50", "orderbook.200", "orderbook.1000"];
  names.push("orderbook.rpi", "kline.1", "kline.D", "priceLimit");
  const open = listen("/v5/public/linear", [...names.map((name) => name + ".BTCUSDT"), "insurance.USDT", "adlAlert.USDT"]);
  const own = listen("/v5/private", ["order", "execution", "execution.fast", "position", "wallet"]);
  await Promise.all([open.ready, own.ready]);
  await account();
  await control("trade", { symbol: "BTCUSDT", price: "60000.00", size: "1", side: "Sell" });
  await control("settle_funding", { symbol: "BTCUSDT", rate: "0.0001" });
  await publicCalls();
  await orders();
  await positions();
  await assets();
  await orderEntry();
  await Promise.race([Promise.all([open.done, own.done]), new Promise((resolve) => setTimeout(resolve, 10000))]);
  found.missing = [...open.missing, ...own.missing];
  found.refused = [...open.refused, ...own.refused];
  for (const { client } of [open, own]) client.closeAll(true);
}

main().then(
  () => {
    console.log(JSON.stringify(found));
    process.exit(0);
  },
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
