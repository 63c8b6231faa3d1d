package web

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"testing"
)

// palette is the colours of one rule of the style sheet.
type palette struct {
	selector string
	colors   map[string]string
}

func palettes(t *testing.T) (all []palette) {
	t.Helper()
	b, err := statics.ReadFile("static/page.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range regexp.MustCompile(`(:root[^{]*)\{([^}]*)\}`).FindAllStringSubmatch(string(b), -1) {
		p := palette{rule[1], map[string]string{}}
		for _, c := range regexp.MustCompile(`--([a-z]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(rule[2], -1) {
			p.colors[c[1]] = c[2]
		}
		if len(p.colors) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// luminance is as WCAG 2 defines it.
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(color[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	linear := func(c uint64) float64 {
		v := float64(c&255) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(n>>16) + 0.7152*linear(n>>8) + 0.0722*linear(n)
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// TestContrast: what is written is readable in all colours, by the level AA; with high contrast by AAA.
func TestContrast(t *testing.T) {
	all := palettes(t)
	if want := len(themes) + 1; len(all) != want { // auto is three of them, light is one of these
		t.Fatalf("%d palettes, want %d: %v", len(all), want, all)
	}
	pairs := [][2]string{{"on", "accent"}, {"ink", "rest"}}
	for _, text := range []string{"ink", "dim", "green", "yellow", "red", "blue", "accent"} {
		pairs = append(pairs, [2]string{text, "paper"}, [2]string{text, "card"})
	}
	for _, p := range all {
		least := 4.5
		if p.colors["paper"] == "#000000" {
			least = 7
		}
		for _, pair := range pairs {
			text, ground := p.colors[pair[0]], p.colors[pair[1]]
			if text == "" || ground == "" {
				t.Errorf("%s: %v: no such colour", p.selector, pair)
				continue
			}
			if c := contrast(t, text, ground); c < least {
				t.Errorf("%s: --%s on --%s: %.2f, less than %.1f", p.selector, pair[0], pair[1], c, least)
			}
		}
	}
	if c := fmt.Sprintf("%.2f", contrast(t, "#777777", "#ffffff")); c != "4.48" { // as everybody else computes it
		t.Error(c)
	}
}

// TestThemesAreThere: each that can be chosen has its colours, and what is preferred by the browser is one of them.
func TestThemesAreThere(t *testing.T) {
	byColors := map[string][]string{}
	var selectors []string
	for _, p := range palettes(t) {
		byColors[fmt.Sprint(p.colors)] = append(byColors[fmt.Sprint(p.colors)], p.selector)
		selectors = append(selectors, p.selector)
	}
	for _, name := range themes {
		if name != "auto" && name != "light" && !slices.Contains(selectors, `:root[data-theme="`+name+`"] `) {
			t.Errorf("%s: no colours", name)
		}
	}
	if len(byColors) != len(themes)-1 {
		t.Errorf("%d sets of colours", len(byColors))
	}
}
