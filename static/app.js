// What HTML and htmx cannot do, as small named behaviours. Nothing here is needed to use the app.
"use strict";

const on = (names, handler) => names.split(" ").forEach((name) => document.addEventListener(name, handler));
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const FORMS = "#contact-form, .editing form"; // forms that hold what a person typed
const FIELDS = "input:not([type=hidden]), textarea";
const isTable = (element) => element?.id === "contact-table";

// A field that asks what is wrong with it, on being left. That changes nothing, and may fail silently.
const isCheck = (element) => element?.getAttribute?.("hx-post") === "/contacts/check";
const isMore = (element) => Boolean(element?.closest("#more"));

// The element whose answer is being read, and whether that says that nobody is signed in.
let sender = null, isSignedOut = false;
on("htmx:beforeOnLoad", ({ detail }) => {
  sender = detail.elt;
  isSignedOut = detail.xhr.status === 401;
});

// ---- Messages: the server's events become toasts, and are said to screen readers --------------

// undo: the address that undoes what happened. restore: a function that does. problem: it went wrong.
function toast(message, { undo, restore, problem } = {}) {
  const element = $("#toast-template").content.cloneNode(true).firstElementChild;
  const form = $("form", element);
  $("[data-message]", element).textContent = problem ? message : `${message}.`;
  if (undo) {
    form.action = undo;
    // Elsewhere there is no table to swap: there Undo is a plain form, which leads to the list.
    if ($("#contact-table")) form.setAttribute("hx-post", undo);
  } else if (restore) {
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      element.remove();
      restore();
    });
  } else {
    form.remove();
  }
  element.classList.toggle("toast--problem", Boolean(problem));
  const place = $(problem ? "#alerts" : "#toasts");
  const wasFocused = place.contains(document.activeElement);
  place.replaceChildren(element);
  if (!restore) window.htmx?.process(element);
  if (wasFocused) $("button", element).focus();
}

const say = (text) => ($("#status").textContent = text);
const contacts = (count) => `${count.toLocaleString("en")} contact${count === 1 ? "" : "s"}`;

// htmx fires the server's events before it swaps. A toast must not be replaced by then: its Undo
// may have sent the request, and without its sender htmx loses what comes out of band.
const afterSwap = queueMicrotask;

on("contactCreated contactUpdated contactDeleted contactsImported", ({ detail }) => {
  const saved = turn?.elt.id;
  drafts.delete(saved);
  afterSwap(() => {
    toast(detail.message, detail);
    $("#alerts").replaceChildren();
    say(`${detail.message}. ${contacts(detail.count)}.`);
    document.getElementById(`contact-${detail.contact}`)?.scrollIntoView({ block: "nearest" });
    if (saved === "contact-form") $("#new-contact")?.focus();
  });
});
on("problem", ({ detail }) => {
  const element = sender, offer = isSignedOut;
  afterSwap(() => trouble(element, detail.message, offer));
});

// Trouble with a form is told in the form, which offers to try again; any other in a message.
function trouble(element, message, offerSignIn = false) {
  if (isCheck(element)) return;
  $("#question").close(); // it would hide the message
  const form = element?.isConnected && element.matches(FORMS) ? element : null;
  if (!form) return toast(message, { problem: true });
  const note = $("#trouble-template").content.cloneNode(true).firstElementChild;
  $("[data-message]", note).textContent = `${message} What you typed is still here.`;
  if (!offerSignIn) $("[data-sign-in]", note)?.remove();
  for (const old of $$(".trouble", form)) old.remove();
  form.prepend(note);
  $("a, button", note).focus();
}

// What the server could not explain itself: it sends the event "problem" when it can.
on("htmx:responseError", ({ detail: { elt, xhr } }) => {
  if ((xhr.getResponseHeader("HX-Trigger") ?? "").includes('"problem"')) return;
  trouble(elt, `The server could not do this (error ${xhr.status}).`);
});
on("htmx:sendError", ({ detail: { elt } }) =>
  trouble(elt, navigator.onLine ? "The server cannot be reached. Please try again." : "You are offline. Please try again."));
on("htmx:timeout", ({ detail: { elt, requestConfig } }) =>
  trouble(elt, requestConfig.verb === "get"
    ? "The server took too long. Please try again."
    : "The server took too long, and may have saved this nevertheless: look at the list in another window before you try again."));
on("htmx:targetError", () => toast("This page is out of date. Please reload it.", { problem: true }));

// A dismissed message gives the focus back to where it came from.
let cameFrom = null;
on("focusin", ({ target, relatedTarget }) => {
  if (target.closest(".messages") && !relatedTarget?.closest(".messages")) cameFrom = relatedTarget;
});
on("click", ({ target }) => {
  if (!target.closest("[data-dismiss]")) return;
  target.closest(".toast").remove();
  (cameFrom?.isConnected ? cameFrom : $("h1")).focus({ preventScroll: true });
});

// The message of a page that a plain form led to becomes one like all others. It is shown once: the
// address forgets it.
const told = $("#toasts .toast");
if (told) {
  const message = $("span", told).textContent.replace(/\.$/, "");
  toast(message, { undo: $("form", told).getAttribute("action") });
  setTimeout(() => say(`${message}.`), 100); // a live region is silent about what it held from the start
}
// What a page says beside, such as that a demo has started again.
const beside = $("[data-say]")?.textContent;
if (beside) setTimeout(() => say(beside), 100);
const address = new URL(location);
if (address.searchParams.has("done")) {
  address.searchParams.delete("done");
  history.replaceState(history.state, "", address);
}

// ---- Forms that come back whatever the status ---------------------------------------------------

on("htmx:beforeSwap", ({ detail }) => {
  // The server names a target only for what it wants to be shown.
  if (!detail.xhr.getResponseHeader("HX-Retarget")) return;
  detail.shouldSwap = true;
  detail.isError = false;
  $("#alerts").replaceChildren();
});

// ---- Search, filters and changes take turns -----------------------------------------------------

// Each brings a new table or row. If they overlapped, the later answer could show what the earlier one
// undid, or come to a table that is gone. So one is under way at a time. A change goes first: what only looks
// for something gives way to it and starts again. What else is pressed meanwhile is pressed again later.
let turn = null; // the request that is under way: htmx's requestConfig
const waiting = [];
const isSearch = ({ elt }) => elt.id === "search";
const isChange = ({ verb }) => verb !== "get";
on("htmx:beforeRequest", (event) => {
  const { target, requestConfig } = event.detail, { elt } = requestConfig;
  if (isCheck(elt) || isMore(elt) || !(isChange(requestConfig) || target.closest("#contact-table"))) return;
  const other = turn;
  if (!other || isSearch(other) || (isChange(requestConfig) && !isChange(other))) {
    turn = requestConfig;
    if (!other) return;
    if (!isSearch(other)) waiting.unshift(other.elt);
    window.htmx.trigger(other.elt, "htmx:abort");
  } else {
    event.preventDefault();
    if (!isSearch(requestConfig) && !waiting.includes(elt)) waiting.push(elt);
  }
});
on("htmx:afterRequest htmx:onLoadError", ({ detail: { requestConfig } }) => {
  if (requestConfig !== turn) return;
  turn = null;
  while (waiting.length && !turn) {
    const pressed = waiting.shift(); // or what stands in its place in the new table
    const element = pressed.isConnected ? pressed : document.getElementById(pressed.id);
    if (element?.matches("form")) element.requestSubmit();
    else element?.click();
  }
  const search = $("#search");
  if (!search || turn || isSearch(requestConfig)) return;
  const asked = new URLSearchParams(location.search).get("q") ?? "";
  if ($("#q").value.trim() !== asked) window.htmx.trigger(search, "submit");
});

// Back, pressed again before the page is there, and a search under way: only the last answer counts.
let restoring = null;
on("htmx:historyCacheMiss", ({ detail: { xhr } }) => {
  restoring?.abort();
  restoring = xhr;
  if (!turn || isChange(turn)) return;
  const { elt } = turn;
  turn = null;
  window.htmx.trigger(elt, "htmx:abort");
});

// The number of matches is said once the list is there, and the title says what the list is.
on("htmx:afterSwap", ({ detail: { requestConfig, xhr } }) => {
  const table = $("#contact-table");
  if (!table || !isTable(requestConfig?.target)) return;
  document.title = table.dataset.title;
  if (xhr.status !== 200 || requestConfig.verb !== "get") return;
  const total = parseInt(table.dataset.total, 10);
  if (table.dataset.total.endsWith("+")) say(`More than ${contacts(total)} found.`);
  else say(total ? `${contacts(total)} found.` : "No contacts found.");
});

// ---- A list of several pages stays as long as it is ---------------------------------------------

on("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get" && isTable(detail.target)) detail.parameters.rows = $$("#contact-rows tr[id^=contact-]").length;
});
// A page that was opened at a contact shows it on top; its row does not come again further down.
on("htmx:afterSwap", ({ detail: { requestConfig } }) => {
  if (!isMore(requestConfig?.elt)) return;
  for (const row of $$("#contact-rows tr")) if (document.getElementById(row.id) !== row) row.remove();
});

// ---- A field says what is wrong with it as soon as it is left ------------------------------------

// Not while its form is on its way: the answer to that says it, too.
on("htmx:beforeRequest", (event) => {
  if (isCheck(event.detail.elt) && event.detail.elt.form.ariaBusy) event.preventDefault();
});
// A message that comes while a mouse button is down would move the page away from under it, and the
// click would be lost. Then the field asks again afterwards.
let isDown = false;
const late = new Set();
on("pointerdown", ({ button }) => (isDown = button === 0));
on("pointerup pointercancel", () => {
  isDown = false;
  for (const field of late) window.htmx.trigger(field, "change");
  late.clear();
});
on("htmx:beforeSwap", ({ detail }) => {
  if (!isDown || !isCheck(detail.requestConfig?.elt)) return;
  detail.shouldSwap = false;
  late.add(detail.requestConfig.elt);
});
on("htmx:afterSettle", () => {
  for (const message of $$(".error")) {
    const field = document.getElementById(message.id.replace(/-error$/, ""));
    if (message.textContent.trim()) field?.setAttribute("aria-invalid", "true");
    else field?.removeAttribute("aria-invalid");
  }
});

// ---- Selecting rows ------------------------------------------------------------------------------

const boxes = () => $$("#contact-rows > tr[id] .pick input"); // a row that fades away has no id
const selected = () => boxes().filter((box) => box.checked);
let lastBox = null; // a click with Shift selects all rows from here

function showSelection() {
  const bulk = $("#bulk");
  if (!bulk) return;
  const chosen = selected(), every = $("[data-select-all]"), { all } = bulk.elements;
  const shown = boxes().length, matching = $("#contact-table").dataset.total, total = parseInt(matching, 10);
  every.hidden = !shown;
  every.checked = chosen.length > 0 && chosen.length === shown;
  every.indeterminate = chosen.length > 0 && chosen.length < shown;
  // "All that match" is offered once all that are shown are selected and there are more.
  const more = every.checked && (matching.endsWith("+") || total > shown);
  if (!more) all.checked = false;
  const everyOne = total.toLocaleString("en") + (matching.endsWith("+") ? "+" : "");
  $(".bulk__all", bulk).hidden = !more;
  $("[data-matching]", bulk).textContent = everyOne;
  $("[data-selected]", bulk).textContent =
    all.checked ? `All ${everyOne} selected` : `${chosen.length.toLocaleString("en")} selected`;
  const merge = $("[data-merge]", bulk);
  if (merge) merge.hidden = all.checked || chosen.length < 2 || chosen.length > 20;
}
function saySelection() {
  showSelection();
  say(selected().length ? `${$("[data-selected]").textContent}.` : "Nothing selected.");
}
function clearSelection() {
  const inBar = document.activeElement.closest("#bulk");
  for (const box of boxes()) box.checked = false;
  saySelection();
  if (inBar) $("h1").focus({ preventScroll: true }); // the bar is gone
}
on("click", ({ target, shiftKey }) => {
  if (target.closest("[data-clear-selection]")) return clearSelection();
  if (!target.matches("#contact-rows .pick input")) return;
  const list = boxes();
  if (shiftKey && lastBox?.isConnected) {
    const [from, to] = [list.indexOf(lastBox), list.indexOf(target)].sort((a, b) => a - b);
    for (const other of list.slice(from, to + 1)) other.checked = target.checked;
  }
  lastBox = target;
});
on("change", ({ target }) => {
  if (target.matches("[data-select-all]")) for (const box of boxes()) box.checked = target.checked;
  if (target.matches(".pick input, .bulk__all input")) saySelection();
});
// A new table keeps the selection of the rows that are still in it; "all that match" were others there.
let kept = new Set();
on("htmx:beforeSwap", () => (kept = new Set(selected().map((box) => box.value))));
on("htmx:afterSwap", ({ detail: { requestConfig } }) => {
  const all = $("#bulk")?.elements.all;
  if (!all) return;
  if (!isMore(requestConfig?.elt)) all.checked &&= !isTable(requestConfig?.target);
  for (const box of boxes()) box.checked = all.checked || kept.has(box.value);
  showSelection();
});
// What a plain form sends goes with the list that is shown now, as what htmx sends does.
on("submit", ({ target, submitter }) => {
  if (!target.matches("#bulk") || !submitter?.hasAttribute("formaction")) return;
  submitter.formAction = submitter.formAction.split("?")[0] + location.search;
});
on("click", ({ target }) => {
  const menu = $("details.menu[open]");
  if (menu && (!menu.contains(target) || target.closest("button"))) menu.open = false;
});
showSelection();

// ---- Questions: what an undo can still do --------------------------------------------------------

const question = $("#question");
on("htmx:afterSwap", ({ detail: { target } }) => {
  if (target === question && !question.open) question.showModal();
});
on("click", (event) => {
  if (!event.target.closest("#question [data-close]")) return;
  event.preventDefault();
  question.close();
});
on("htmx:beforeOnLoad", ({ detail: { elt } }) => {
  if (question.contains(elt)) question.close();
});

// ---- Nothing typed is lost ----------------------------------------------------------------------

// What is being typed, by the id of its form, until it is saved or given up. A form that comes back,
// by the back button or opened again, holds it again, with the version it was made for.
const drafts = new Map();
on("input", ({ target }) => keep(target.closest(FORMS)));
function keep(form) {
  if (form) drafts.set(form.id, new FormData(form));
}
function refill(form) {
  for (const [name, value] of drafts.get(form.id) ?? []) if (form.elements[name]) form.elements[name].value = value;
}
on("htmx:afterSettle", ({ detail: { requestConfig } }) => {
  // A form that was opened is refilled; one that came back with messages is the newer draft.
  if (!requestConfig) return; // the back button: see below
  if (requestConfig.verb === "get") $$(FORMS).forEach(refill);
  else $$(FORMS).filter((form) => drafts.has(form.id)).forEach(keep);
});
on("htmx:historyRestore", () => {
  $$(FORMS).forEach(refill);
  const away = [...drafts.keys()].some((id) => !document.getElementById(id));
  if (away) toast("What you typed is kept until you open its form again");
});

// A new table leaves open editors as they are: they step aside for the swap and come back.
let aside = [];
on("htmx:beforeSwap", ({ detail }) => {
  if (!isTable(detail.target) || !detail.shouldSwap) return;
  aside = $$("tr.editing")
    .filter((row) => !row.contains(detail.requestConfig.elt))
    .map((row) => ({ row, focused: row.contains(document.activeElement) ? document.activeElement : null }));
  for (const { row } of aside) row.remove();
});
on("htmx:afterSwap", () => {
  for (const { row, focused } of aside.reverse()) {
    const fresh = document.getElementById(row.id);
    if (fresh) fresh.replaceWith(row);
    else $("#contact-rows").prepend(row);
    for (const field of $$("[autofocus]", row)) field.removeAttribute("autofocus"); // it had its turn
    window.htmx.process(row);
    focused?.focus();
  }
  aside = [];
});

// While a form is on its way its fields wait, or the answer would replace what is typed meanwhile.
on("htmx:beforeSend htmx:afterRequest", ({ type, detail: { elt } }) => {
  if (!elt.matches(FORMS)) return;
  const sending = type === "htmx:beforeSend";
  elt.ariaBusy = sending ? "true" : null;
  for (const field of $$(FIELDS, elt)) {
    field.readOnly = sending;
    if (sending) window.htmx.trigger(field, "htmx:abort"); // its check
  }
});

// "New contact" while the form is open goes to the form instead of emptying it.
on("htmx:beforeRequest", (event) => {
  const form = $("#contact-form");
  if (event.detail.elt.id !== "new-contact" || !form) return;
  event.preventDefault();
  $(FIELDS, form).focus();
});

// Cancel gives up what was typed, and can be undone like everything else.
on("click", (event) => {
  const cancel = event.target.closest("[data-cancel]");
  if (!cancel) return;
  const form = cancel.closest("form");
  const draft = drafts.get(form.id);
  const isNew = form.id === "contact-form";
  const opener = () => $(isNew ? "#new-contact" : `#${form.id.replace("edit", "contact")} .actions a`);
  drafts.delete(form.id);
  if (draft) {
    const restore = () => {
      drafts.set(form.id, draft);
      opener()?.click();
    };
    toast("Discarded what you typed", { restore });
  }
  if (!isNew) return; // htmx asks for the row
  event.preventDefault();
  form.remove();
  // A search may have left its address meanwhile.
  if (location.pathname === "/contacts/new") history.pushState({ htmx: true }, "", `/contacts${location.search}`);
  opener().focus();
});
on("keydown", (event) => {
  // While a word is composed, in Japanese for example, Escape belongs to the keyboard.
  if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  const form = event.target.closest(FORMS), menu = event.target.closest("details.menu[open]");
  if (form) return $("[data-cancel]", form)?.click();
  if (menu) {
    menu.open = false;
    return $("summary", menu).focus();
  }
  if ($("dialog[open]") || event.target.matches("#q") && event.target.value) return; // those have their own
  if (selected().length) clearSelection();
});

// Leaving the page with unsaved typing asks first; a form that leaves by being sent may go.
let submitted = null;
on("submit", (event) => {
  if (!event.defaultPrevented) submitted = event.target;
});
window.addEventListener("beforeunload", (event) => {
  if ($$(FORMS).some((form) => form !== submitted && drafts.has(form.id))) event.preventDefault();
});

// ---- Focus: after a change it is where the next step is -----------------------------------------

const ROWS = "#contact-rows > tr";
let left = null; // the row that held the focus, or sent the request, and what of it

on("htmx:beforeSwap", ({ detail: { requestConfig } }) => {
  const elt = requestConfig?.elt;
  if (!elt || isCheck(elt)) return;
  const focused = document.activeElement;
  // More rows that come by themselves leave the focus alone.
  const from = elt.closest("#bulk") ? selected()[0] : focused.closest(ROWS) ? focused : isMore(elt) ? null : elt;
  const row = from?.closest(`${ROWS}:not(.editing)`);
  const control = isMore(from) || elt.closest("#bulk") ? ".person__name"
    : [".person__name", ".pick input"].find((part) => from?.matches(part)) ?? ".actions a";
  left = row ? { id: row.id, place: $$(ROWS).indexOf(row), control } : null;
});
on("htmx:afterSettle", ({ detail: { requestConfig } }) => {
  const focused = document.activeElement;
  if (isCheck(requestConfig?.elt) || (focused !== document.body && focused.checkVisibility())) return;
  if (isMore(requestConfig?.elt) && !left) return;
  const rows = $$(ROWS);
  const row = left && (rows.find(({ id }) => id === left.id && id !== "more") ?? rows[Math.min(left.place, rows.length - 1)]);
  const next = row && ($(left.control, row) ?? $("a", row));
  (next ?? $("h1")).focus({ preventScroll: true });
});

// ---- Keys ----------------------------------------------------------------------------------------

// Each presses what a mouse would. They rest while a person types, and can be switched off for good
// (WCAG 2.2, 2.1.4), as those who speak to their computer must.
const row = () => document.activeElement.closest("#contact-rows > tr:not(.more)");
const press = (selector, root = document) => root && $(selector, root)?.click();
function move(step) {
  const rows = $$("#contact-rows > tr:not(.editing, .more)");
  const next = row() ? rows[rows.indexOf(row()) + step] : rows.at(step > 0 ? 0 : -1);
  const link = next && $(".person__name", next);
  link?.focus();
  link?.scrollIntoView({ block: "nearest" });
  return Boolean(link);
}
const KEYS = {
  "/": () => {
    $("#q")?.focus();
    $("#q")?.select();
  },
  n: () => ($("#new-contact") ? press("#new-contact") : location.assign("/contacts/new")),
  j: () => move(1) || press("a[rel=next]"),
  k: () => move(-1) || press("a[rel=prev]"),
  e: () => press(row() ? ".actions a" : ".card__actions a", row() ?? document),
  u: () => press("#toasts form button"),
  "?": () => $("#keys").showModal(),
  Delete: () => {
    if (selected().length) press("#bulk button[value=delete]");
    else press(row() ? ".actions button" : ".card__actions button", row() ?? document);
  },
};
const shortcuts = $("[data-shortcuts]");
shortcuts.checked = localStorage.getItem("shortcuts") !== "off";
shortcuts.addEventListener("change", () => localStorage.setItem("shortcuts", shortcuts.checked ? "on" : "off"));
// A link that is opened in a new tab or window is not htmx's.
document.addEventListener("click", (event) => {
  if ((event.ctrlKey || event.metaKey || event.shiftKey) && event.target.closest("a[href]")) event.stopPropagation();
}, { capture: true });
on("keydown", (event) => {
  const { key, target, shiftKey } = event;
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (!shortcuts.checked || $("dialog[open]")) return;
  if (key === "ArrowDown" && target.matches("#q")) { // from the search to what it found
    if (move(1)) event.preventDefault();
    return;
  }
  if (target.closest("textarea, select, [contenteditable], input:not([type=checkbox])")) return;
  if (key === "x" || key === "X") {
    const box = row() && $(".pick input", row());
    box?.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true, shiftKey }));
    return;
  }
  const arrow = { ArrowDown: "j", ArrowUp: "k" }[key];
  if (arrow && !row()) return; // there it scrolls, as everywhere
  const action = KEYS[arrow ?? key];
  if (!action) return;
  event.preventDefault();
  action();
});
