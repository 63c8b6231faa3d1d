"use strict";
// Shows the page anew when a device changed, and every ten seconds while it is looked at.

let due = 0;

function load() {
	due = 0;
	if (document.hidden || !getSelection().isCollapsed) return; // nobody looks, or somebody copies
	const page = new XMLHttpRequest(); // reads HTML without running it
	page.responseType = "document";
	page.onload = () => {
		if (page.status === 401) location.assign("/login"); // the session is over
		const fresh = page.response && page.response.querySelector("main");
		if (!fresh) return;
		document.querySelector("main").replaceWith(document.adoptNode(fresh));
		document.title = page.response.title;
	};
	page.open("GET", "/");
	page.send();
}

function changed() {
	if (!due) due = setTimeout(load, 300);
}

function live(text, lost) {
	const mark = document.getElementById("live");
	mark.hidden = false;
	mark.textContent = text;
	mark.classList.toggle("lost", lost);
}

function connect() {
	const stream = new EventSource("/stream/devices");
	for (const kind of ["devices", "device", "removed"]) {
		stream.addEventListener(kind, () => { live("live", false); changed(); });
	}
	stream.addEventListener("away", () => { live("main node away", true); changed(); });
	stream.onerror = () => {
		live("connecting", true);
		if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 5000);
	};
}

connect();
setInterval(changed, 10000);
document.addEventListener("visibilitychange", changed);
