"use strict";
// Keeps a page as it would be if it were loaded anew: when a stream tells of a change, and now and then, the same address is fetched, and what differs is
// changed in place. So focus, selection, scrolling and what is open stay.

// morph makes of an element what the fresh one is. What is marked as kept is its reader's.
function morph(old, fresh) {
	if (old.nodeType !== Node.ELEMENT_NODE) return retext(old, fresh.data);
	for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
	for (const { name } of [...old.attributes]) if (name !== "open" && !fresh.hasAttribute(name)) old.removeAttribute(name);
	if (old.hasAttribute("data-kept")) return;
	const atEnd = old.scrollTop > 0 && old.scrollTop + old.clientHeight >= old.scrollHeight - 2;
	remake(old, fresh);
	if (atEnd) old.scrollTop = old.scrollHeight;
}

// retext changes only what differs of a text, so that a selection in the rest stays.
function retext(node, data) {
	const was = node.data, most = Math.min(was.length, data.length);
	let head = 0, tail = 0;
	while (head < most && was[head] === data[head]) head++;
	while (tail < most - head && was[was.length - 1 - tail] === data[data.length - 1 - tail]) tail++;
	if (was !== data) node.replaceData(head, was.length - head - tail, data.slice(head, data.length - tail));
}

const alike = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id || "") === (b.id || "");

// remake makes the children those of the fresh element. Who has an id stays itself wherever it goes.
function remake(old, fresh) {
	const wanted = new Set(Array.from(fresh.children, (c) => c.id));
	const known = new Map(Array.from(old.children, (c) => [c.id, c]));
	let at = old.firstChild;
	for (const f of [...fresh.childNodes]) {
		while (at && at.id && !wanted.has(at.id)) at = drop(at);
		const mine = f.id && known.get(f.id);
		if (mine && mine !== at) {
			move(old, mine, at);
			at = mine;
		}
		if (at && alike(at, f)) {
			const next = at.nextSibling;
			morph(at, f);
			at = next;
		} else {
			old.insertBefore(document.adoptNode(f), at);
		}
	}
	while (at) at = drop(at);
}

function drop(node) {
	const next = node.nextSibling;
	node.remove();
	return next;
}

// move keeps focus and what is open where the browser can.
function move(parent, node, before) {
	if (parent.moveBefore) parent.moveBefore(node, before);
	else parent.insertBefore(node, before);
}

const main = document.getElementById("main");
const every = 1000 * (main.dataset.every || 0);
let timer = 0, due = 0, last = 0, hurried = 0, rested = 0, asking = false, later = null, stream = null;

// load fetches the page. It may have become an error, which is a page too; or the session is over, which leads to the login.
function load(hurry) {
	timer = 0;
	if (document.hidden) return;
	asking = true;
	later = null;
	last = Date.now();
	if (hurry) hurried = last;
	const page = new XMLHttpRequest(); // reads HTML without running it
	page.responseType = "document";
	page.timeout = 2e4;
	page.onloadend = () => {
		asking = false;
		rested = 2 * Date.now() - last;
		if (later != null) changed(later);
		if (!page.response) return live("rc-web does not answer", true);
		if (page.responseURL && new URL(page.responseURL).pathname !== location.pathname) return location.assign("/login");
		if (page.response.getElementById("terminal")) return location.reload(); // the main node is back; this has scripts of its own
		for (const id of ["node", "main"]) {
			const fresh = page.response.getElementById(id);
			if (fresh) morph(document.getElementById(id), fresh);
		}
		document.title = page.response.title;
		if (!stream) live("live", page.status >= 400);
		connect();
	};
	page.open("GET", location.href.split("#")[0]);
	page.setRequestHeader("Accept", "text/html");
	page.send();
}

// changed loads the page at once, but once a second, and once more in a hurry.
function changed(hurry) {
	if (asking) return later ||= !!hurry;
	const now = Date.now(), at = Math.max(now + 15, rested, (hurry ? hurried : last) + 1000);
	if (timer && due <= at) return;
	clearTimeout(timer);
	due = at;
	timer = setTimeout(load, at - now, hurry);
}

// live says how the page stands.
function live(text, lost) {
	const mark = document.getElementById("live");
	if (mark.textContent !== text) mark.textContent = text;
	mark.className = lost ? "lost" : "on";
}

// tell says what has changed: not more than a reader who hears it can follow.
let told = 0;
function tell(text) {
	if (Date.now() - told < 3000) return;
	told = Date.now();
	live(text, false);
}

const states = new Map();

// What the streams tell, by the name of the event.
const heard = {
	devices(data) {
		for (const d of data.devices) states.set(d.device_id, d.status);
		live("live", false);
	},
	device(d) {
		if (states.get(d.device_id) === d.status) return;
		tell(d.device_id + " is " + d.status);
		states.set(d.device_id, d.status);
		changed(true);
	},
	removed(d) {
		states.delete(d.device_id);
		tell(d.device_id + " was removed");
		changed(true);
	},
	message: (e) => e.text && tell(e.text),
	output() {},
	away: () => live("main node away", true),
};

function hear(kind, event) {
	let data = {};
	try {
		data = JSON.parse(event.data);
	} catch { /* something came */ }
	if (heard[kind]) heard[kind](data);
	changed();
}

function connect() {
	const from = main.dataset.live;
	if (!from || stream && stream.from === from || document.hidden) return;
	disconnect();
	let met = false;
	stream = new EventSource(from);
	stream.from = from;
	stream.onopen = () => {
		met = true;
		live("live", false);
	};
	for (const kind of Object.keys(heard)) stream.addEventListener(kind, (e) => hear(kind, e));
	stream.onerror = () => {
		if (met) live("connecting", true);
		if (stream.readyState !== EventSource.CLOSED) return;
		if (met) setTimeout(() => { disconnect(); connect(); }, 5000);
	};
}

function disconnect() {
	if (stream) stream.close();
	stream = null;
}

// The keys of the navigation, also with Alt and a digit where a browser has other uses for them.
function pressed(e) {
	if (e.ctrlKey || e.metaKey || e.shiftKey) return;
	const key = e.altKey ? (/^Digit[1-6]$/.test(e.code) ? "F" + e.code[5] : "") : e.key;
	const tab = /^F[1-6]$/.test(key) && document.querySelector("nav a[data-key=" + key + "]");
	if (!tab) return;
	e.preventDefault();
	e.stopPropagation();
	location.assign(tab.href);
}

// themes adds the choice of colours, of which there is none without scripts.
function themes() {
	const root = document.documentElement, label = document.createElement("label"), name = document.createElement("span"), choice = document.createElement("select");
	const user = document.getElementById("user");
	name.className = "away";
	name.textContent = "Theme";
	choice.id = "theme";
	for (const theme of user.dataset.themes.split(" ")) choice.append(new Option(theme));
	label.append(name, choice);
	user.prepend(label);
	choice.value = root.dataset.theme || "auto";
	choice.addEventListener("change", () => {
		const auto = choice.value === "auto";
		if (auto) delete root.dataset.theme;
		else root.dataset.theme = choice.value;
		try {
			if (auto) localStorage.removeItem("rc-theme");
			else localStorage.setItem("rc-theme", choice.value);
		} catch { /* nothing is kept here */ }
	});
}

themes();
addEventListener("keydown", pressed, true);
if (every) {
	connect();
	setInterval(() => Date.now() - last >= every && changed(), every);
	document.addEventListener("visibilitychange", () => {
		if (document.hidden) return disconnect();
		connect();
		changed();
	});
}
