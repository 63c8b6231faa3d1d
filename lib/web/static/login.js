"use strict";
// Logs in with the code behind # of the address: a browser sends that to nobody, so no log and no Referer has it.

function tell(text) {
	const said = document.getElementById("said");
	said.hidden = false;
	said.textContent = text;
}

function answered(answer) {
	if (answer.ok) {
		location.replace("/");
		return null;
	}
	return answer.json().then((problem) => tell(problem.message));
}

function login() {
	const code = location.hash.slice(1);
	if (!code) return;
	history.replaceState(null, "", "/login"); // it stays out of the history
	fetch("/login", {
		method: "POST",
		credentials: "same-origin",
		headers: { "Content-Type": "application/json" },
		body: JSON.stringify({ code }),
	}).then(answered).catch(() => tell("rc-web does not answer; try again"));
}

login();
window.addEventListener("hashchange", login); // another address pasted over this one
