// A file can be dropped anywhere on the import page, and how much of it is sent is shown. Nothing
// here is needed: the field takes a file, and the form sends it, without script.
"use strict";

(() => {
  const form = document.getElementById("upload");
  const field = document.getElementById("file");
  const problem = document.getElementById("upload-problem");
  const progress = document.getElementById("sending");
  const sent = document.getElementById("sent");
  const button = form.querySelector("button");
  const megabytes = (bytes) => (bytes / 1048576).toFixed(1);

  function refuse(message) {
    const text = document.createElement("p");
    text.className = "problem";
    text.textContent = message;
    problem.replaceChildren(...(message ? [text] : []));
    return Boolean(message);
  }
  const isTooLarge = () => refuse(field.files[0]?.size > form.dataset.limit ? form.dataset.tooLarge : "");

  field.addEventListener("change", isTooLarge);

  // ---- Dropping: the whole page is the target, so a near miss does not open the file instead ----

  const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    field.classList.add("drop--over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) field.classList.remove("drop--over");
  });
  document.addEventListener("drop", (event) => {
    if (!holdsFile(event)) return;
    event.preventDefault();
    field.classList.remove("drop--over");
    const [file] = event.dataTransfer.files;
    if (!file) return;
    const one = new DataTransfer();
    one.items.add(file);
    field.files = one.files;
    isTooLarge();
    button.focus();
  });

  // ---- Sending ------------------------------------------------------------------------------------

  const sending = (is) => {
    progress.parentElement.hidden = !is;
    button.disabled = is;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (isTooLarge()) return;
    const request = new XMLHttpRequest();
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      progress.value = (100 * loaded) / total;
      sent.textContent = loaded < total ? `${megabytes(loaded)} of ${megabytes(total)} MB sent` : "Reading…";
    });
    request.addEventListener("load", () => {
      // The answer is the preview's page, or this page with what is wrong.
      if (request.status < 400) return location.assign(request.responseURL);
      sending(false);
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      refuse((page.querySelector(".problem") ?? page.querySelector("h1"))?.textContent ?? "The file could not be sent.");
    });
    request.addEventListener("error", () => {
      sending(false);
      refuse("The file could not be sent: the server cannot be reached. Please try again.");
    });
    request.open("POST", form.action);
    request.send(new FormData(form));
    sending(true);
  });
  window.addEventListener("pageshow", () => sending(false)); // the back button
})();
