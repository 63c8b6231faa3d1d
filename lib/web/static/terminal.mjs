// The terminal of the page: a line editor over xterm.js. What is typed runs in rc-web with the rights of the session; what comes back was made safe there.

// xterm makes <style> elements; the policy lets those in that have this page's nonce.
const nonce = document.querySelector("meta[name=style-nonce]").content;
const createElement = Document.prototype.createElement;
Document.prototype.createElement = function (name, ...rest) {
	const element = createElement.call(this, name, ...rest);
	if (String(name).toLowerCase() === "style") element.nonce = nonce;
	return element;
};

const [{ Terminal }, { FitAddon }, { SearchAddon }] = await Promise.all([
	import("./vendor/xterm.mjs"), import("./vendor/addon-fit.mjs"), import("./vendor/addon-search.mjs")]);

const place = document.getElementById("terminal");
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// theme takes the page's colours.
function theme() {
	const light = css("color-scheme") === "light", faint = css("--dim");
	return {
		background: css("--paper"), foreground: css("--ink"), cursor: css("--accent"), cursorAccent: css("--paper"), selectionBackground: css("--accent"), selectionForeground: css("--on"),
		black: light ? css("--ink") : css("--rest"), red: css("--red"), green: css("--green"), yellow: css("--yellow"), blue: css("--blue"), magenta: css("--accent"), cyan: css("--blue"),
		white: light ? faint : css("--ink"), brightBlack: faint, brightRed: css("--red"), brightGreen: css("--green"), brightYellow: css("--yellow"), brightBlue: css("--blue"),
		brightMagenta: css("--accent"), brightCyan: css("--blue"), brightWhite: css("--ink"),
	};
}

const term = new Terminal({
	allowProposedApi: false, convertEol: true, cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches, fontFamily: css("--mono") || "ui-monospace, monospace",
	fontSize: matchMedia("(max-width: 600px)").matches ? 12 : 14, screenReaderMode: true, scrollback: 10000, theme: theme(), minimumContrastRatio: 4.5,
});
const fit = new FitAddon(), search = new SearchAddon();
term.loadAddon(fit);
term.loadAddon(search);
term.open(place);
term.textarea.setAttribute("aria-label", "Command line");
// What was printed is kept for as long as it takes no more than this, at 12 bytes for each place of a line.
const mostKept = 32 << 20;
function resize() {
	fit.fit();
	term.options.scrollback = Math.floor(mostKept / (12 * term.cols));
}
new ResizeObserver(resize).observe(place);
const recolour = () => { term.options.theme = theme(); };
new MutationObserver(recolour).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
for (const wish of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) matchMedia(wish).addEventListener("change", recolour);

// Questions to a terminal have no answer: what a task prints is not to type.
const swallow = () => true;
for (const id of [{ final: "c" }, { prefix: ">", final: "c" }, { prefix: "=", final: "c" }, { final: "n" }, { prefix: "?", final: "n" }, { intermediates: "$", final: "p" },
	{ prefix: "?", intermediates: "$", final: "p" }, { prefix: "?", final: "h" }, { final: "t" }]) term.parser.registerCsiHandler(id, swallow);
term.parser.registerDcsHandler({ intermediates: "$", final: "q" }, swallow);
for (const id of [0, 2, 4, 8, 10, 11, 12, 52, 104]) term.parser.registerOscHandler(id, swallow);

// Links on ids of tasks, and on names of devices as far as they are known.
let devices = new Set();
async function learnDevices() {
	try {
		const answer = await fetch("/api/v1/devices");
		if (answer.ok) devices = new Set((await answer.json()).data.devices.map((d) => d.device_id));
	} catch { /* then there are no links on them */ }
}
term.registerLinkProvider({
	provideLinks(y, give) {
		const row = term.buffer.active.getLine(y - 1);
		if (!row) return give(undefined);
		const links = [];
		for (const m of row.translateToString(true).matchAll(/[A-Za-z0-9][A-Za-z0-9._-]*/g)) {
			const word = m[0], where = /^t[a-z2-9]{8}$/.test(word) ? "/tasks/" : devices.has(word) ? "/devices/" : "";
			if (where) links.push({ text: word, range: { start: { x: m.index + 1, y }, end: { x: m.index + word.length, y } }, activate: () => location.assign(where + encodeURIComponent(word)) });
		}
		give(links);
	},
});

// The line that is being typed.
const prompt = "\x1b[1;32mrc\x1b[0m> ", promptWidth = 4;
let lines = 0, line = "", cursor = 0, row = 0, running = null, greeted = false, told = 0;
const history = JSON.parse(localStorage.getItem("rc-history") || "[]");
let at = history.length, draft = "", seeking = null;

const wide = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u;
const width = (s) => [...s].reduce((n, c) => n + (wide.test(c) ? 2 : 1), 0);

function draw() {
	const head = seeking === null ? prompt : `(search)'${seeking}': `, headWidth = seeking === null ? promptWidth : width(head);
	const before = headWidth + width(line.slice(0, cursor)), whole = headWidth + width(line), cols = term.cols;
	let out = (row ? `\x1b[${row}A` : "") + "\r\x1b[J" + head + line.replace(/[\x00-\x1f\x7f]/g, "\ufffd");
	if (whole % cols === 0) out += "\r\n";
	row = Math.floor(before / cols);
	const up = Math.floor(whole / cols) - row;
	out += (up ? `\x1b[${up}A` : "") + "\r" + (before % cols ? `\x1b[${before % cols}C` : "");
	term.write(out);
}

function set(text, to = text.length) { line = text; cursor = to; draw(); }
function insert(text) {
	const end = cursor === line.length && seeking === null && (promptWidth + width(line + text)) % term.cols > width(text); // it only grows, on this row
	if (!end) return set(line.slice(0, cursor) + text + line.slice(cursor), cursor + text.length);
	line += text;
	cursor = line.length;
	term.write(text); // so that a screen reader hears what is new, and no more
}
function fresh() { line = ""; cursor = row = 0; at = history.length; draw(); }
function wordLeft() { return line.slice(0, cursor).search(/\S+\s*$/) < 0 ? 0 : line.slice(0, cursor).search(/\S+\s*$/); }
function wordRight() { const m = line.slice(cursor).match(/^\s*\S+/); return cursor + (m ? m[0].length : 0); }

function remember(text) {
	if (!text.trim() || history.at(-1) === text || text.startsWith(" ")) return;
	history.push(text);
	if (history.length > 500) history.shift();
	localStorage.setItem("rc-history", JSON.stringify(history));
}

function recall(step) {
	if (at === history.length) draft = line;
	at = Math.max(0, Math.min(history.length, at + step));
	set(at === history.length ? draft : history[at]);
}

// Ctrl-R looks backwards through the history for what is typed.
let found = 0;
function seek(from) {
	for (let i = Math.min(from, history.length - 1); i >= 0; i--) if (history[i].includes(seeking)) { found = i; return set(history[i]); }
	draw();
}

async function complete() {
	const typed = line.slice(0, cursor), again = Date.now() - told < 1500;
	told = Date.now();
	let answer;
	try {
		answer = (await (await fetch("/api/v1/complete?line=" + encodeURIComponent(typed))).json()).data;
	} catch { return; }
	if (!answer || !answer.words.length || line.slice(0, cursor) !== typed) return;
	const { from, words } = answer;
	let common = words[0];
	for (const w of words) while (!w.startsWith(common)) common = common.slice(0, -1);
	if (words.length === 1) common += " ";
	if (common.length > typed.length - from) return set(line.slice(0, from) + common + line.slice(cursor), from + common.length);
	if (!again) return;
	const column = Math.max(...words.map(width)) + 2, many = Math.max(1, Math.floor(term.cols / column));
	let list = "";
	words.forEach((w, i) => { list += w + (i % many === many - 1 || i === words.length - 1 ? "\n" : " ".repeat(column - width(w))); });
	term.write("\n" + list);
	row = 0;
	draw();
}

async function run(text) {
	term.write("\n");
	remember(text);
	if (text.trim() === "clear") { term.clear(); return fresh(); }
	if (text.trim()) await ask(text);
	fresh();
	place.dataset.lines = ++lines;
	learnDevices();
}

// ask has rc-web run a line, and shows what it prints.
async function ask(text) {
	const mine = running = new AbortController();
	place.setAttribute("aria-busy", "true");
	let clean = true;
	try {
		const answer = await fetch("/api/v1/terminal", { method: "POST", signal: mine.signal, headers: { "Content-Type": "application/json" }, body: JSON.stringify({ command: text, columns: term.cols }) });
		if (answer.status === 401 && greeted) { location.assign("/login"); return; }
		if (answer.status === 401) throw new Error("log in to type commands");
		if (!answer.ok) throw new Error((await answer.json()).message);
		clean = await show(answer.body.getReader());
	} catch (e) {
		if (mine.signal.aborted) term.write("^C\n");
		else term.write(`\x1b[31m${String(e.message || e).replace(/[\x00-\x1f\x7f-\x9f]/g, "\ufffd")}\x1b[0m\n`);
	}
	running = null;
	place.removeAttribute("aria-busy");
	if (!clean) term.write("\n");
}

// show writes an answer as it comes, no faster than it can be drawn, and says whether it ended with a newline.
async function show(reader) {
	const decoder = new TextDecoder();
	let rest = "", last = "\n";
	for (;;) {
		const { done, value } = await reader.read();
		if (done) throw new Error("the connection to rc-web was lost");
		rest += decoder.decode(value, { stream: true });
		for (let end; (end = rest.indexOf("\n")) >= 0; rest = rest.slice(end + 1)) {
			const said = JSON.parse(rest.slice(0, end));
			if (said.out) {
				last = said.out.at(-1);
				await new Promise((drawn) => term.write(said.out, drawn));
			}
			if (said.status !== undefined) {
				place.dataset.status = said.status;
				return last === "\n";
			}
		}
	}
}

const keys = {
	"\r": () => { const text = line; seeking = null; run(text); },
	"\x03": () => { seeking = null; term.write("^C\n"); fresh(); },
	"\x0c": () => { term.clear(); row = 0; draw(); },
	"\x01": () => set(line, 0), "\x1b[H": () => set(line, 0), "\x05": () => set(line), "\x1b[F": () => set(line),
	"\x0b": () => set(line.slice(0, cursor)), "\x15": () => set(line.slice(cursor), 0),
	"\x17": () => { const to = wordLeft(); set(line.slice(0, to) + line.slice(cursor), to); },
	"\x7f": () => { if (cursor) set(line.slice(0, cursor - 1) + line.slice(cursor), cursor - 1); },
	"\x04": () => set(line.slice(0, cursor) + line.slice(cursor + 1), cursor), "\x1b[3~": () => keys["\x04"](),
	"\x1b[D": () => set(line, Math.max(0, cursor - 1)), "\x1b[C": () => set(line, Math.min(line.length, cursor + 1)),
	"\x02": () => keys["\x1b[D"](), "\x06": () => keys["\x1b[C"](),
	"\x1bb": () => set(line, wordLeft()), "\x1bf": () => set(line, wordRight()), "\x1b[1;5D": () => keys["\x1bb"](), "\x1b[1;5C": () => keys["\x1bf"](),
	"\x1b[A": () => recall(-1), "\x1b[B": () => recall(1), "\x10": () => recall(-1), "\x0e": () => recall(1),
	"\x12": () => { if (seeking === null) { seeking = ""; draw(); } else seek(found - 1); },
	"\x1b": () => { seeking = null; draw(); }, "\x07": () => { seeking = null; fresh(); },
	"\t": complete,
};

function typed(data) {
	if (seeking !== null && (data === "\x7f" || data >= " " && !data.startsWith("\x1b"))) {
		seeking = data === "\x7f" ? seeking.slice(0, -1) : seeking + data;
		return seek(history.length - 1);
	}
	if (keys[data]) {
		if (data !== "\x12") seeking = null;
		return keys[data]();
	}
	if (data.startsWith("\x1b")) return;
	insert(data.replace(/\r?\n|\r/g, " ").replace(/[\x00-\x1f\x7f]/g, "")); // pasted lines become one, which nobody has run yet
}

term.onData((data) => {
	if (!running) return typed(data);
	if (data === "\x03") running.abort();
});

// What was printed is looked through from a line below the terminal.
const box = document.createElement("input"), finder = document.createElement("label");
box.type = "search";
box.autocomplete = "off";
finder.className = "find";
finder.hidden = true;
finder.append("Find ", box);
place.after(finder);
function look(back) { if (box.value) back ? search.findPrevious(box.value) : search.findNext(box.value); }
box.addEventListener("keydown", (e) => {
	if (e.key === "Enter") look(!e.shiftKey);
	else if (e.key === "Escape") { finder.hidden = true; term.focus(); }
});

term.attachCustomKeyEventHandler((e) => {
	if (e.type !== "keydown") return true;
	if (e.ctrlKey && e.shiftKey && e.code === "KeyF") { finder.hidden = false; box.focus(); e.preventDefault(); return false; }
	if (e.ctrlKey && !e.altKey && e.code === "KeyC" && term.hasSelection()) { document.execCommand("copy"); term.clearSelection(); e.preventDefault(); return false; }
	if (e.ctrlKey && !e.altKey && e.code === "KeyV") return false; // the browser pastes
	if (/^F[1-6]$/.test(e.key)) return false; // the page's
	return true;
});

resize();
term.write(`\x1b[2mRetire-Cluster. Try \x1b[0mhelp\x1b[2m, \x1b[0mrc-status devices\x1b[2m or \x1b[0mrc-submit --wait -- uptime\x1b[2m.\x1b[0m\n`);
term.focus();
running = new AbortController(); // nothing is typed before what one wants to know first is there
await learnDevices();
await ask(devices.size && devices.size <= 12 ? "rc-status devices" : "rc-status");
greeted = true;
fresh();
place.dataset.ready = "true";
window.rcTerminal = { text: () => { const b = term.buffer.active, all = []; for (let i = 0; i < b.length; i++) all.push(b.getLine(i).translateToString(true)); return all.join("\n"); } };
