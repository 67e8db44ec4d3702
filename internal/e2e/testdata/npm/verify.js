// Verifies deliveries with the library of Standard Webhooks: lines of {"secret", "headers", "body"}
// on stdin; for each a line with its id, or with what is wrong.
const { Webhook } = require("standardwebhooks");

for (const line of require("node:fs").readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const { secret, headers, body } = JSON.parse(line);
  try {
    new Webhook(secret).verify(body, headers);
    console.log("genuine " + headers["webhook-id"]);
  } catch (e) {
    console.log("refused " + headers["webhook-id"] + " " + e.message);
  }
}
