/**
 * A client of TravelHub's live feed: every message of yours once and in order, whatever the network does.
 *
 *     import { LiveFeed } from "./travelhub_live.js";
 *     const feed = new LiveFeed({ url: "https://api.example.com", token, last, onMessage: (message) => show(message) });
 *     feed.start();
 *
 * A plain ES module for browsers and Node 22 or newer, without a dependency or a build step: it speaks the few packets of Engine.IO 4
 * and Socket.IO 5 that the feed needs. The protocol is in docs/live-feed.md.
 */

/** Seconds before each try to connect again; after the tenth it polls. */
export const LADDER_S = [1, 2, 4, 8, 16, 16, 16, 16, 16, 16];
const POLL_EVERY_S = 15;
/** Then it tries the live feed once more. */
const POLLS_BEFORE_LIVE = 20;
const JITTER = 0.2;
const PAGE = 200;
/** Messages that wait to be handed on, at most; the others are asked for again. */
const HELD = 1000;
const CONNECT_S = 10;
/** Refusals that trying again does not change. */
const FINAL = new Set(["unauthenticated", "missing_scope", "invalid_request", "unknown_sequence"]);

export class LiveFeed {
  /**
   * @param {object} options
   * @param {string} options.url The API's address.
   * @param {string} options.token A bearer token with the scope `me:read`.
   * @param {number|null} [options.last] The number of the last message you have handled; without it you get what happens from now on.
   * @param {(message: {sequence: number, type: string, timestamp: string, data: object}) => unknown} options.onMessage
   *   Called for one message after the other; a promise is awaited. If it throws, the feed stops, and `last` is the message before.
   * @param {(state: "connecting"|"live"|"polling"|"stopped") => void} [options.onState]
   * @param {(error: Error & {code?: string}) => void} [options.onError] The feed has stopped; `code` says why it was refused.
   */
  constructor({ url, token, last = null, onMessage, onState = () => {}, onError = () => {}, ladderS = LADDER_S, pollEveryS = POLL_EVERY_S }) {
    this.last = last;
    this.state = "stopped";
    this._url = url.replace(/\/+$/, "");
    this._token = token;
    this._onMessage = onMessage;
    this._onState = onState;
    this._onError = onError;
    this._ladderS = ladderS;
    this._pollEveryS = pollEveryS;
    this._held = new Map();
    this._head = last ?? 0;
    this._handing = false;
    this._stopped = true;
    this._hurried = false;
    this._endWait = () => {};
    this._endConnection = () => {};
  }

  start() {
    if (this._stopped) {
      this._stopped = false;
      this._run();
    }
  }

  stop() {
    if (!this._stopped) {
      this._stopped = true;
      this._endWait();
      this._endConnection();
      this._become("stopped");
    }
  }

  /** Connects afresh and at once, for whoever knows that the network is back: an old connection may be dead and not know it yet. */
  hurry() {
    this._hurried = true;
    this._endConnection();
    this._endWait();
  }

  _fail(error) {
    if (!this._stopped) {
      this.stop();
      this._onError(error);
    }
  }

  _become(state) {
    if (this.state !== state) {
      this.state = state;
      this._onState(state);
    }
  }

  _wait(seconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this._endWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async _run() {
    let tries = 0;
    while (!this._stopped) {
      this._become("connecting");
      this._hurried = false;
      const { wasLive, atOnce } = await this._connect();
      if (this._stopped) return;
      if (wasLive) tries = 0;
      if (atOnce || this._hurried) continue;
      if (tries === this._ladderS.length) {
        await this._poll();
        tries = 0;
      } else {
        this._become("connecting");
        await this._wait(this._ladderS[tries] * (1 - JITTER + 2 * JITTER * Math.random()));
        tries += 1;
      }
    }
  }

  async _poll() {
    this._become("polling");
    for (let polls = 0; polls < POLLS_BEFORE_LIVE && !this._stopped && !this._hurried; polls += 1) {
      await this._fill();
      this._hand();
      await this._wait(this._pollEveryS);
    }
  }

  /** One connection, to its end: whether it was live, and whether the server has asked to come again at once. */
  _connect() {
    return new Promise((resolve) => {
      const socket = new WebSocket(`${this._url.replace(/^http/, "ws")}/v1/live/?EIO=4&transport=websocket`);
      let wasLive = false;
      let leaving = null;
      let silence = null;
      let over = false;
      const end = () => {
        if (over) return;
        over = true;
        clearTimeout(silence);
        clearTimeout(leaving);
        socket.close();
        resolve({ wasLive, atOnce: leaving !== null });
      };
      const expectWithin = (seconds) => {
        clearTimeout(silence);
        silence = setTimeout(end, seconds * 1000);
      };
      let patienceS = CONNECT_S;
      expectWithin(patienceS);
      this._endConnection = end;
      socket.onclose = end;
      socket.onerror = end;
      socket.onmessage = ({ data }) => {
        if (over) return;
        expectWithin(patienceS);
        const packet = String(data);
        if (packet.startsWith("0")) {
          const { pingInterval, pingTimeout } = JSON.parse(packet.slice(1));
          patienceS = (pingInterval + pingTimeout) / 1000;
          socket.send(`40${JSON.stringify(this._hello())}`);
        } else if (packet === "2") {
          socket.send("3");
        } else if (packet.startsWith("44")) {
          const { message, data: reason } = JSON.parse(packet.slice(2));
          end();
          this._refused(reason?.code, message);
        } else if (packet.startsWith("42")) {
          const [event, body] = JSON.parse(packet.slice(2));
          if (event === "ready") {
            wasLive = true;
            this._become("live");
            this._hearHead(body.sequence);
          } else if (event === "message") {
            this._take(body);
          } else if (event === "head") {
            this._hearHead(body.sequence);
          } else if (event === "going_away" && leaving === null) {
            // Until then it is served here.
            leaving = setTimeout(end, body.reconnect_in_s * 1000);
          }
          this._hand();
        } else if (packet === "41" || packet === "1") {
          end();
        }
      };
    });
  }

  _hello() {
    return this.last === null ? { token: this._token } : { token: this._token, last: this._lastHeld() };
  }

  _refused(code, detail) {
    if (FINAL.has(code)) this._fail(Object.assign(new Error(detail), { code }));
  }

  /** What was handed on before is dropped. */
  _take(message) {
    if ((this.last === null || message.sequence > this.last) && this._held.size < HELD) this._held.set(message.sequence, message);
    this._hearHead(message.sequence);
  }

  _hearHead(sequence) {
    this.last ??= sequence;
    this._head = Math.max(this._head, sequence);
  }

  /** The last of those that are here and wait only to be handed on. */
  _lastHeld() {
    let last = this.last;
    while (this._held.has(last + 1)) last += 1;
    return last;
  }

  /** Hands on what is next, one after the other; asks for what is missing. */
  async _hand() {
    if (this._handing) return;
    this._handing = true;
    try {
      while (!this._stopped && this.last !== null && this._head > this.last) {
        const message = this._held.get(this.last + 1);
        if (message === undefined) {
          if (!(await this._fill())) await new Promise((resolve) => setTimeout(resolve, this._ladderS[0] * 1000));
          continue;
        }
        await this._onMessage(message);
        this._held.delete(message.sequence);
        this.last = message.sequence;
      }
    } catch (error) {
      this._fail(error);
    } finally {
      this._handing = false;
    }
  }

  /** One page of what follows the last message; whether there was any. */
  async _fill() {
    try {
      const answer = await fetch(`${this._url}/v1/me/events?after=${this.last ?? 0}&limit=${PAGE}`, {
        headers: { Authorization: `Bearer ${this._token}` },
        signal: AbortSignal.timeout(CONNECT_S * 1000),
      });
      const page = await answer.json();
      if (!answer.ok) {
        this._refused(page.code, page.detail);
        return false;
      }
      this._hearHead(page.head);
      page.events.forEach((message) => this._take(message));
      return page.events.length > 0;
    } catch {
      return false; // the network: tried again
    }
  }
}

/** One trip, opened by the token of its signed link: says that it has changed, by the number of its revision, and not into what. */
export class TripFeed extends LiveFeed {
  /**
   * @param {object} options As for LiveFeed, but for `token`, `last` and `onMessage`. It does not poll: while it is not live, you do.
   * @param {string} options.trip The token of the trip's link.
   * @param {() => unknown} options.onChange The trip has changed since the feed became live, or was live before; a promise is awaited.
   */
  constructor({ trip, onChange, ...options }) {
    super({ ...options, token: trip, onMessage: onChange });
  }

  _hello() {
    return { trip: this._token };
  }

  async _hand() {
    if (this._handing) return;
    this._handing = true;
    try {
      while (!this._stopped && this.last !== null && this._head > this.last) {
        const head = this._head;
        await this._onMessage();
        this.last = head;
      }
    } catch (error) {
      this._fail(error);
    } finally {
      this._handing = false;
    }
  }

  async _fill() {
    return false;
  }
}
