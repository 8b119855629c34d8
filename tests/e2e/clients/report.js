// Report with @sentry/node, and print what came back as JSON.
const { subscribe } = require("node:diagnostics_channel");

const answers = [];
subscribe("http.client.response.finish", ({ request, response }) => {
  answers.push([request.path, response.statusCode]);
});

const Sentry = require("@sentry/node");

class OutOfStockError extends Error {
  constructor(message) {
    super(message);
    this.name = "OutOfStockError";
  }
}

function take(fruit, wanted) {
  throw new OutOfStockError(`not enough ${fruit}: wanted ${wanted}`);
}

function order(fruit) {
  take(fruit, 2);
}

Sentry.init({ dsn: process.argv[2], release: "shop@1.2.3", environment: "e2e", tracesSampleRate: 1.0 });
Sentry.startSession();
Sentry.setTag("customer", "acme");
Sentry.setUser({ id: "42", email: "ann@example.com" });
Sentry.addBreadcrumb({ category: "cart", message: "pear put into the cart", level: "info" });
const scope = Sentry.getIsolationScope();
scope.addAttachment({ filename: "log.txt", data: 'first\n{"type":"event"}\n{}\n' });
scope.addAttachment({ filename: "nul.bin", data: new Uint8Array([0, 10, 255]) });

let exception;
try {
  order("pear");
} catch (error) {
  exception = Sentry.captureException(error);
}
const message = Sentry.captureMessage("shop is open: ünïcödé 你好", "warning");
Sentry.startSpan({ name: "checkout", op: "task" }, () => {});
Sentry.endSession();
Sentry.flush(10000).then((flushed) => {
  console.log(JSON.stringify({ exception, message, answers, flushed }));
});
