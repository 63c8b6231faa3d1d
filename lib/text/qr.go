package text

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// quiet is how wide the light frame is that a QR code needs around it.
const quiet = 4

// QR draws a text as a QR code, two of its lines on each line: dark on light, whatever the colours of the terminal are.
func QR(s string) (string, error) {
	code, err := qr.Encode(s, qr.L)
	if err != nil {
		return "", fmt.Errorf("draw a QR code: %w", err)
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := code.Black(x, y), code.Black(x, y+1)
			b.WriteString(map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}[[2]bool{upper, lower}])
		}
		b.WriteString(resetSGR + "\n")
	}
	return b.String(), nil
}

// QRPath draws it as the path of an SVG image, one unit a module: fill it dark, on light. The image is size units wide and high, with the frame.
func QRPath(s string) (path string, size int, err error) {
	code, err := qr.Encode(s, qr.L)
	if err != nil {
		return "", 0, fmt.Errorf("draw a QR code: %w", err)
	}
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; {
			n := 0
			for code.Black(x+n, y) {
				n++
			}
			if n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, n, n)
			}
			x += n + 1
		}
	}
	return b.String(), code.Size + 2*quiet, nil
}
