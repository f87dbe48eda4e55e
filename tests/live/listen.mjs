// node listen.mjs URL TOKEN LAST UP_TO: prints each number that is handed on, and `refused CODE`.
import { LiveFeed } from "../../clients/travelhub_live.js";

const [url, token, last, upTo] = process.argv.slice(2);
const feed = new LiveFeed({
  url,
  token,
  last: last === "" ? null : Number(last),
  ladderS: [0.1, 0.1, 0.2, 0.2, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5],
  pollEveryS: 0.3,
  onState: (state) => console.log(state),
  onError: (error) => console.log(`refused ${error.code}`),
  onMessage: async (message) => {
    await new Promise((resolve) => setTimeout(resolve, 1)); // one is handled before the next is handed on
    console.log(message.sequence);
    if (message.sequence === Number(upTo)) feed.stop();
  },
});
feed.start();
