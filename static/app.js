// What HTML and htmx cannot do, as small named behaviours. Nothing here is needed to use the app.
"use strict";

const on = (names, handler) => names.split(" ").forEach((name) => document.addEventListener(name, handler));
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const FORMS = "#contact-form, .editing form"; // forms that hold what a person typed
const FIELDS = "input:not([type=hidden]), textarea";
const isTable = (element) => element?.id === "contact-table";

// The element whose request is under way or was the last one.
let sender = null;
on("htmx:beforeSend", ({ detail }) => (sender = detail.elt));

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

on("contactCreated contactUpdated contactDeleted contactsImported", ({ type, detail }) => {
  drafts.delete(sender?.id);
  afterSwap(() => {
    toast(detail.message, detail);
    $("#alerts").replaceChildren();
    say(`${detail.message}. ${contacts(detail.count)}.`);
    document.getElementById(`contact-${detail.contact}`)?.scrollIntoView({ block: "nearest" });
    if (type === "contactCreated" && sender?.id === "contact-form") $("#new-contact")?.focus();
  });
});
on("problem", ({ detail }) => afterSwap(() => toast(detail.message, { problem: true })));

// What the server could not explain itself: it sends the event "problem" when it can.
const KEPT = "What you typed is still here: please try again.";
on("htmx:responseError", ({ detail: { xhr } }) => {
  if ((xhr.getResponseHeader("HX-Trigger") ?? "").includes('"problem"')) return;
  toast(`The server could not do this (error ${xhr.status}). ${KEPT}`, { problem: true });
});
on("htmx:sendError", () =>
  toast(`${navigator.onLine ? "The server cannot be reached." : "You are offline."} ${KEPT}`, { problem: true }));
on("htmx:timeout", ({ detail: { requestConfig } }) =>
  toast(requestConfig.verb === "get"
    ? "The server took too long. Please try again."
    : "The server took too long, and may have saved this nevertheless. What you typed is still here: reload the list in another window before you try again.",
  { problem: true }));
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

// ---- Search and changes take turns --------------------------------------------------------------

// Both replace the table. If they overlapped, the later answer could show what the earlier one undid;
// so a change ends a search under way, a search waits for a change, and then it starts again.
let changing = 0;
const search = $("#search");
const isChange = ({ detail }) => detail.requestConfig.verb !== "get";
on("htmx:beforeRequest", (event) => {
  if (event.detail.elt === search && changing) event.preventDefault();
});
on("htmx:beforeSend", (event) => {
  if (!isChange(event)) return;
  changing += 1;
  if (search) window.htmx.trigger(search, "htmx:abort");
});
on("htmx:afterRequest", (event) => {
  if (!isChange(event)) return;
  changing -= 1;
  const asked = new URLSearchParams(location.search).get("q") ?? "";
  if (search?.isConnected && !changing && $("#q").value.trim() !== asked) window.htmx.trigger(search, "submit");
});

// The number of matches is said once the list is there.
on("htmx:afterSwap", ({ detail: { requestConfig, xhr } }) => {
  if (requestConfig?.elt?.id !== "search" || xhr.status !== 200) return;
  const total = Number($("#contact-table").dataset.total);
  say(total ? `${contacts(total)} found.` : "No contacts found.");
});

// ---- A list of several pages stays as long as it is ---------------------------------------------

on("htmx:configRequest", ({ detail }) => {
  if (detail.verb !== "get" && isTable(detail.target)) detail.parameters.rows = $$("#contact-rows tr[id^=contact-]").length;
});
// A page that was opened at a contact shows it on top; its row does not come again further down.
on("htmx:afterSwap", () => {
  if (!sender?.closest("#more")) return;
  for (const row of $$("#contact-rows tr")) if (document.getElementById(row.id) !== row) row.remove();
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
  for (const field of $$(FIELDS, elt)) field.readOnly = sending;
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
  history.pushState({ htmx: true }, "", cancel.href);
  opener().focus();
});
on("keydown", (event) => {
  // While a word is composed, in Japanese for example, Escape belongs to the keyboard.
  if (event.key !== "Escape" || event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
  $("[data-cancel]", event.target.closest(FORMS) ?? document.createElement("form"))?.click();
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

let place = null; // the row that a request came from, counted from the top
on("htmx:beforeSend", ({ detail: { elt } }) => {
  const row = elt.closest("#contact-rows > tr:not(.editing)");
  place = row ? $$("#contact-rows > tr").indexOf(row) : null;
});
on("htmx:afterSettle", () => {
  if (document.activeElement !== document.body) return;
  const rows = $$("#contact-rows > tr");
  const row = place === null ? null : rows[Math.min(place, rows.length - 1)];
  const next = row && ($(sender?.closest("#more") ? ".person__name" : ".actions a", row) ?? $("a", row));
  (next ?? $("h1")).focus({ preventScroll: true });
  place = null;
});
