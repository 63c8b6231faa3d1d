package web

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
)

// What others have made is as they made it: versions.json has the sum of each file, and that of the package it came from.
func TestVendored(t *testing.T) {
	b, err := statics.ReadFile("static/vendor/versions.json")
	if err != nil {
		t.Fatal(err)
	}
	var packages []struct {
		Package, Version, Integrity string
		Files                       map[string]string
	}
	if err := json.Unmarshal(b, &packages); err != nil {
		t.Fatal(err)
	}
	named := 1 // versions.json
	for _, p := range packages {
		for name, sum := range p.Files {
			b, err := statics.ReadFile("static/vendor/" + name)
			if is := sha256.Sum256(b); err != nil || hex.EncodeToString(is[:]) != sum {
				t.Errorf("%s of %s %s: %x, %v", name, p.Package, p.Version, is, err)
			}
			named++
		}
	}
	there, err := statics.ReadDir("static/vendor")
	if err != nil || len(there) != named {
		t.Errorf("%d files, %d are in versions.json (%v)", len(there), named, err)
	}
}
