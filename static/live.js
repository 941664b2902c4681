// Shows what changes in other windows. The server says only that something has (app/web/live.py). Then this
// page is fetched again, with its own search, sort and rows, and what differs in a [data-live] element is put
// in its place. An element may name an address of its own. [data-seq] says up to which change the page shows.
// Nothing here is needed to use the app.
"use strict";

const live = () => $$("[data-live]");
const shown = () => Math.min(...$$("[data-seq]").map((element) => Number(element.dataset.seq)));
const showing = (seq) => $$("[data-seq]").forEach((element) => (element.dataset.seq = seq));
let known = shown(); // up to which change the server has told of

// ---- The stream -----------------------------------------------------------------------------------

const SILENCE = 25_000; // milliseconds after which a stream that says nothing is dead: it beats every ten seconds
const SPREAD = 200; // and within which all windows that hear of a change ask for it, not all at once
const sign = $("#live-sign");
let stream = null, failures = 0, silence = 0, again = 0, soon = 0;

function connect() {
  disconnect();
  if (document.hidden || !$("[data-seq]")) return; // a browser has six connections for all its windows
  stream = new EventSource(`/live?after=${known}`);
  stream.addEventListener("beat", alive);
  stream.addEventListener("changed", ({ data }) => {
    alive();
    const seq = Number(data);
    if (seq < known) showing(seq - 1); // a backup was restored
    known = seq;
    setTimeout(refresh, SPREAD * Math.random());
  });
  // It tries again by itself, unless the server has refused.
  stream.addEventListener("error", () => {
    soon ||= setTimeout(lost, 1_000); // not for a hiccup
    if (stream.readyState !== EventSource.CLOSED) return;
    hideFromStrangers();
    failures += 1;
    clearTimeout(again);
    again = setTimeout(connect, Math.min(1_000 * 2 ** failures, 30_000));
  });
  listen();
  refresh(); // what was heard of before the window was hidden
}
function disconnect() {
  stream?.close();
  stream = null;
  clearTimeout(silence);
  clearTimeout(again);
}
function listen() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    lost();
    connect();
  }, SILENCE);
}
// Signed out elsewhere: nothing of this page is to be seen any more, unless somebody is typing into it.
async function hideFromStrangers() {
  if (!$(".who")) return;
  const { status } = await fetch(location.href, { method: "HEAD", cache: "no-store" }).catch(() => ({}));
  if (status === 401 && !drafts.size) location.reload();
}
const lost = () => (sign.textContent = "Reconnecting…");
function alive() {
  listen();
  clearTimeout(soon);
  failures = soon = 0;
  sign.textContent = "";
}
on("visibilitychange", connect);
window.addEventListener("pagehide", disconnect);
window.addEventListener("pageshow", ({ persisted }) => persisted && connect());
window.addEventListener("online", connect);

// ---- The page, fetched again ------------------------------------------------------------------------

const PAUSE = 300; // milliseconds between two updates, and four times what the last one took
const ROWS_LIMIT = 500; // what one answer has at most
let fetching = false, pause = 0, errors = 0, gone = false;
let touched = 0; // how often the page was changed from here
const busy = () => turn || isDown || $("#more .htmx-request");

on("htmx:beforeRequest htmx:afterSwap htmx:historyRestore", () => (touched += 1));
// A search brings a new table alone: what stands around it is as old as before.
let showed = 0;
on("htmx:beforeSwap", () => (showed = shown()));
on("htmx:afterSwap", ({ detail: { requestConfig } }) => {
  if (requestConfig?.verb === "get" && isTable(requestConfig.target)) showing(Math.min(showed, shown()));
});
// What had to wait for a request or a mouse button.
on("htmx:afterRequest pointerup pointercancel", () => queueMicrotask(refresh));

async function refresh() {
  if (fetching || pause || busy() || document.hidden || !live().length || known <= shown()) return;
  fetching = true;
  const started = performance.now(), before = touched, seq = known;
  try {
    const read = await Promise.all([...Map.groupBy(live(), addressOf)].map(async ([address, elements]) => {
      const page = await fetchAgain(address);
      if (touched !== before || busy()) return NaN; // it may be older than what stands here by now
      if (page) await update(elements, page);
      tell(!page);
      return Number(page && $("[data-seq]", page)?.dataset.seq) || seq;
    }));
    errors = 0;
    const reached = Math.min(...read);
    if (Number.isNaN(reached)) return;
    showing(reached);
    if (known === seq) known = reached; // the page may be newer than the event
  } catch {
    errors += 1; // not reached, or out of order: the stream says so, too
  } finally {
    fetching = false;
    pause = setTimeout(() => {
      pause = 0;
      refresh();
    }, Math.min(PAUSE * 2 ** errors, 30_000) + 4 * (performance.now() - started));
  }
}

// What the page is about was deleted, or is back.
function tell(isGone) {
  if (isGone && !gone) toast("This was deleted in another window", { problem: true });
  if (gone && !isGone) $("#alerts").replaceChildren();
  gone = isGone;
}

const addressOf = ({ dataset: { live } }) => (live.includes("?") ? live : (live || location.pathname) + location.search);

// The page as it is now, with as many rows as stand here; null when there is none any more.
async function fetchAgain(address) {
  const wanted = $$("#contact-rows > tr[id^=contact-]").length;
  const page = await fetchPage(address, wanted);
  const rows = page && $("#contact-rows", page);
  while (rows && $("#more", rows) && wanted > rows.children.length - 1) {
    const next = await fetchPage($("#more a", rows).href, wanted - rows.children.length + 1);
    $("#more", rows).replaceWith(...$$("#contact-rows > tr", next));
  }
  return page;
}
async function fetchPage(address, rows) {
  const url = new URL(address, location.href);
  if (rows) url.searchParams.set("rows", Math.min(rows, ROWS_LIMIT));
  const headers = url.searchParams.has("section") ? { "HX-Request": "true" } : {};
  const answer = await fetch(url, { headers, cache: "no-store", signal: AbortSignal.timeout(30_000) });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  keepToken(page);
  return page;
}
// The token in forms is under another mask in each answer (app/web/credentials.py). That alone makes no row differ.
function keepToken(page) {
  const [ours, theirs] = [document, page].map((each) => $("[name=_csrf_token]", each)?.getAttribute("value"));
  if (!ours || !theirs || unmasked(ours) !== unmasked(theirs)) return;
  for (const field of $$("[name=_csrf_token]", page)) field.setAttribute("value", ours);
}
const unmasked = (token) => BigInt(`0x${token.slice(0, 64)}`) ^ BigInt(`0x${token.slice(64)}`);

// ---- What differs is put in its place -----------------------------------------------------------------

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const topOf = (row) => row.getBoundingClientRect().top;

async function update(elements, page) {
  for (const row of $$(".leaving")) row.remove();
  const focused = document.activeElement, place = $$("#contact-rows > tr").indexOf(focused.closest("tr"));
  const all = $("#bulk")?.elements.all.checked;
  // What a person looks at stays where it is, whatever comes or goes above it.
  const seen = scrollY > 0 && $$("#contact-rows > tr").find((row) => topOf(row) > 0 && page.getElementById(row.id));
  const before = seen && topOf(seen);
  for (const element of elements) {
    const fresh = page.getElementById(element.id);
    if (!fresh || element.isEqualNode(fresh)) continue;
    const rows = $("#contact-rows", element);
    if (rows) updateRows(rows, [...$("#contact-rows", fresh).children]);
    morph(element, fresh);
  }
  if (seen) scrollBy({ top: topOf(seen) - before, behavior: "instant" });
  if (elements.some(({ dataset: { live } }) => !live)) document.title = page.title;
  if (all) for (const box of [$("#bulk").elements.all, ...boxes()]) box.checked = true;
  showSelection();
  if (!focused.isConnected || focused.closest(".leaving")) keepFocus(place);
  for (const row of $$("tr.editing")) await compare(row, page);
}

// The rows are not left to Idiomorph: it moves all that stand behind a new one.
function updateRows(body, wanted) {
  const ids = new Set(wanted.map(({ id }) => id));
  const stays = (row) => row.matches(".editing") && !ids.has(row.id);
  for (const row of [...body.children]) if (!ids.has(row.id) && !stays(row)) leave(row);
  const next = (row) => {
    while (row && (row.matches(".leaving") || stays(row))) row = row.nextElementSibling;
    return row;
  };
  let place = next(body.firstElementChild);
  for (const fresh of wanted) {
    let row = $(`#${fresh.id}`, body);
    if (!row) {
      row = document.importNode(fresh, true);
      body.insertBefore(row, place);
      window.htmx?.process(row);
      flash(row);
      continue;
    }
    if (place && row !== place && row === next(place.nextElementSibling)) {
      put(body, place, null); // it has gone down: its turn comes
      place = row;
    }
    if (row === place) place = next(place.nextElementSibling);
    else put(body, row, place);
    if (row.matches(".editing") || row.isEqualNode(fresh)) continue;
    const changed = row.dataset.version !== fresh.dataset.version;
    morph(row, fresh);
    if (changed) flash(row);
  }
}
// Where the browser can, without loss of the focus.
const put = (body, row, place) => (body.moveBefore ? body.moveBefore(row, place) : body.insertBefore(row, place));

function morph(element, fresh) {
  const callbacks = {
    beforeNodeMorphed: ({ id }) => id !== "contact-rows",
    // What a person has ticked or unfolded stays so.
    beforeAttributeUpdated: (name) => !["checked", "open", "autofocus"].includes(name),
    afterNodeMorphed: activate,
    afterNodeAdded: activate,
  };
  window.Idiomorph.morph(element, fresh, { callbacks });
}
const activate = (node) => node.matches?.("[hx-get], [hx-post], [hx-put], [hx-delete]") && window.htmx?.process(node);

function flash(row) {
  row.classList.add("news");
  row.lastElementChild.addEventListener("animationend", () => row.classList.remove("news"), { once: true });
}

// A row that goes fades first, if it can be seen. It is no contact any more: nothing finds it by its id.
function leave(row) {
  if (calm.matches || topOf(row) < 0 || row.id === "more") return row.remove();
  row.removeAttribute("id");
  row.inert = true;
  row.classList.add("leaving");
  row.addEventListener("animationend", () => row.remove(), { once: true });
}

// What had the focus is gone: the row in its place gets it.
function keepFocus(place) {
  const rows = $$("#contact-rows > tr:not(.leaving)");
  const row = place < 0 ? null : rows[Math.min(place, rows.length - 1)];
  ((row && $("a", row)) ?? $("h1")).focus({ preventScroll: true });
  say(row ? "The contact that you were at is no longer in this list." : "What you were at has changed.");
}

// An open editor says when its contact has changed, and leads to the choice between both.
async function compare(row, page) {
  const form = $("form", row), version = form.elements.version?.value;
  if (!version || $(".elsewhere", form)) return;
  const fresh = page.getElementById(row.id) ?? (await fetchPage(`/contacts/${row.id.replace("contact-", "")}`))?.querySelector("[data-version]");
  if (fresh?.dataset.version === version) return;
  const note = $("#elsewhere-template").content.cloneNode(true).firstElementChild;
  $("[data-message]", note).textContent = fresh
    ? "Someone else has changed this contact meanwhile. What you typed is still here."
    : "Someone else has deleted this contact meanwhile. What you typed is still here: save it to add the contact again.";
  if (!fresh) $("button", note).remove();
  form.prepend(note);
}

connect();
