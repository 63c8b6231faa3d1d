"use strict";
// Sets the colours that were chosen here before anything is painted.

try {
	const theme = localStorage.getItem("rc-theme");
	if (/^[a-z-]+$/.test(theme || "")) document.documentElement.dataset.theme = theme;
} catch { /* nothing is kept here */ }
