"use strict";
// The moment in which a browser talks to a person's device. Everything else on our pages works without a script.
(() => {
  const root = document.querySelector("[data-ceremony]");
  if (!root) return;
  const { ceremony, begin, finish } = root.dataset;
  const words = root.dataset, go = document.getElementById("go"), line = document.getElementById("say");
  const base = { i: root.dataset.i || "" };

  const tell = (problem, ...parts) => {
    line.classList.toggle("problem", problem);
    line.replaceChildren(...parts.map((text) => {
      const p = document.createElement("p");
      p.textContent = text;
      return p;
    }));
  };

  // Browsers older than the JSON forms of WebAuthn level 3 need these.
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => buffer && btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const named = (list) => (list || []).map((c) => ({ ...c, id: bytes(c.id) }));
  const creation = (o) => PublicKeyCredential.parseCreationOptionsFromJSON ? PublicKeyCredential.parseCreationOptionsFromJSON(o)
    : { ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) }, excludeCredentials: named(o.excludeCredentials) };
  const request = (o) => PublicKeyCredential.parseRequestOptionsFromJSON ? PublicKeyCredential.parseRequestOptionsFromJSON(o)
    : { ...o, challenge: bytes(o.challenge), allowCredentials: named(o.allowCredentials) };
  const plain = (c) => {
    if (c.toJSON) return c.toJSON();
    const r = c.response, response = { clientDataJSON: text(r.clientDataJSON) };
    for (const part of ["attestationObject", "authenticatorData", "signature", "userHandle"]) if (r[part]) response[part] = text(r[part]);
    if (r.getTransports) response.transports = r.getTransports();
    return { id: c.id, rawId: text(c.rawId), type: c.type, response, clientExtensionResults: c.getClientExtensionResults(), authenticatorAttachment: c.authenticatorAttachment };
  };

  const post = async (path, body) => {
    let response, answer;
    try {
      response = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), credentials: "same-origin", redirect: "error" });
      answer = await response.json();
    } catch {
      throw { told: [words.offline] };
    }
    if (!response.ok) throw { told: [answer.what, answer.means, answer.do, `${words.reference} ${answer.reference}`] };
    return answer;
  };

  const explain = (err) => {
    if (err.name === "AbortError") return;
    if (err.name === "NotAllowedError") return tell(false, words.cancelled); // the person's own choice, and nothing is wrong
    tell(true, ...(err.told || [err.name === "InvalidStateError" ? words.known : words.unsupported]));
  };

  let waiting = null; // the offer in the account field, while it stands
  const signIn = async (mediation) => {
    if (waiting) waiting.abort();
    const mine = waiting = new AbortController();
    const { options } = await post(begin, base);
    if (mine.signal.aborted) return;
    const credential = await navigator.credentials.get({ publicKey: request(options), mediation, signal: mine.signal });
    waiting = null;
    location.assign((await post(finish, { ...base, credential: plain(credential) })).next);
  };

  const register = async () => {
    const answer = await post(begin, base);
    if (answer.next) return location.assign(answer.next);
    const credential = await navigator.credentials.create({ publicKey: creation(answer.options) });
    const name = document.getElementById("name");
    location.assign((await post(finish, { name: name ? name.value : "", credential: plain(credential) })).next);
  };

  const busy = async (work) => {
    go.disabled = true;
    tell(false, words.waiting);
    try {
      await work();
    } catch (err) {
      explain(err);
    }
    go.disabled = false;
  };

  if (!window.PublicKeyCredential) {
    tell(true, words.unsupported);
    return;
  }
  go.hidden = false;
  if (ceremony === "signin") {
    const offer = async () => {
      if (!root.dataset.again && await PublicKeyCredential.isConditionalMediationAvailable?.()) signIn("conditional").catch((err) => err.name === "NotAllowedError" || explain(err)); // nobody asked for it
    };
    go.addEventListener("click", async () => {
      await busy(() => signIn());
      offer();
    });
    offer();
  } else {
    go.addEventListener("click", () => busy(register));
  }
  if (ceremony === "enrol") {
    base.secret = location.hash.slice(1);
    history.replaceState(null, "", location.pathname); // the link is a credential: it leaves the address at once
    addEventListener("hashchange", () => location.reload()); // another link in the same tab loads nothing by itself
    post(begin, base).then((answer) => {
      document.getElementById("who-name").textContent = answer.name;
      document.getElementById("who-login").textContent = answer.login;
      go.disabled = false;
    }, (err) => {
      for (const part of root.querySelectorAll("[data-link]")) part.hidden = true; // there is nothing to do with it here
      explain(err);
    });
  }
})();
