// The set-up form: sends the link's token with what was typed, and shows the new API token once.
"use strict";

const byId = (id) => document.getElementById(id);
const form = byId("form");
const linkToken = new URLSearchParams(location.hash.slice(1)).get("token");
// The token goes neither into the history nor into a bookmark.
history.replaceState(null, "", location.pathname);

function fail(text) {
  byId("error").textContent = text;
  byId("error").hidden = false;
  byId("submit").disabled = false;
}

function describe(problem) {
  const faults = (problem.errors || []).map((fault) => `${fault.pointer.slice(1)}: ${fault.detail}`);
  return faults.length ? faults.join("\n") : problem.detail;
}

function show({ workspace, token }) {
  byId("token").textContent = token;
  byId("curl").textContent =
    `curl -H "Authorization: Bearer ${token}" ${location.origin}/api/v1/workspaces/${workspace.slug}/workflows`;
  byId("form-card").hidden = true;
  byId("done").hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("error").hidden = true;
  byId("submit").disabled = true;
  const typed = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  try {
    const response = await fetch("/api/v1/setup", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email: "", ...typed, token: linkToken }),
    });
    const answer = await response.json();
    if (response.ok) show(answer);
    else fail(describe(answer));
  } catch {
    fail("The server does not answer. Is it still running?");
  }
});

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const source = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      // Without https the clipboard is out of reach: select, so that one key copies.
      getSelection().selectAllChildren(source);
      button.textContent = "Press Ctrl+C";
    }
  });
}

if (!linkToken) {
  fail("This address lacks its token. Run “keyward setup-link” on the server for the whole link.");
  byId("submit").disabled = true;
}
