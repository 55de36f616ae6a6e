// Makes vectors.json: a log as golang.org/x/mod/sumdb/{tlog,note} and filippo.io/torchwood have it.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "broker.example.com/hoopx/0123abcd"

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, h[i])
	}
	return out, nil
}

type proof struct {
	Of     int64    `json:"of"`
	Size   int64    `json:"size"`
	Hashes []string `json:"hashes"`
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func texts(hs []tlog.Hash) []string {
	out := []string{}
	for _, h := range hs {
		out = append(out, hex.EncodeToString(h[:]))
	}
	return out
}

func signer(name string, seed byte) (note.Signer, string, ed25519.PrivateKey) {
	s := sha256.Sum256([]byte{seed})
	key := ed25519.NewKeyFromSeed(s[:])
	vkey := must(note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey)))
	verifier := must(note.NewVerifier(vkey))
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, verifier.KeyHash(),
		base64.StdEncoding.EncodeToString(append([]byte{1}, s[:]...)))
	return must(note.NewSigner(skey)), vkey, key
}

func main() {
	sizes := []int64{1, 2, 3, 5, 8, 70, 255, 256, 257, 600}
	var stored hashes
	roots := map[int64]string{}
	inclusions, consistencies := []proof{}, []proof{}
	tiles, bundles := map[string]string{}, map[string]string{}
	var bundle []byte
	for n := int64(0); n < 600; n++ {
		leaf := fmt.Appendf(nil, "leaf %d", n)
		stored = append(stored, must(tlog.StoredHashes(n, leaf, stored))...)
		bundle = must(torchwood.AppendTileEntry(bundle, leaf))
		if (n+1)%256 == 0 || n == 599 {
			width := int(n%256) + 1
			path := torchwood.TilePath(tlog.Tile{H: 8, L: -1, N: n / 256, W: width})
			sum := sha256.Sum256(bundle)
			bundles[path] = hex.EncodeToString(sum[:])
			bundle = nil
		}
	}
	for _, size := range sizes {
		root := must(tlog.TreeHash(size, stored))
		roots[size] = hex.EncodeToString(root[:])
		for _, of := range []int64{0, 1, 2, 4, 69, 128, 255, 256, 599} {
			if of < size {
				inclusions = append(inclusions, proof{of, size, texts(must(tlog.ProveRecord(size, of, stored)))})
			}
			if 0 < of && of <= size {
				consistencies = append(consistencies, proof{of, size, texts(must(tlog.ProveTree(size, of, stored)))})
			}
		}
	}
	before := int64(0)
	for _, size := range []int64{0, 3, 257, 600} {
		for _, tile := range tlog.NewTiles(8, before, size) {
			sum := sha256.Sum256(must(tlog.ReadTileData(tile, stored)))
			tiles[torchwood.TilePath(tile)] = hex.EncodeToString(sum[:])
		}
		before = size
	}
	old, oldKey, _ := signer(origin, 1)
	next, nextKey, _ := signer(origin, 2)
	_, _, witnessKey := signer("witness.example.com/w1", 3)
	witness := must(torchwood.NewCosignatureSigner("witness.example.com/w1", witnessKey))
	root := must(tlog.TreeHash(600, stored))
	checkpoint := torchwood.Checkpoint{Origin: origin, Tree: tlog.Tree{N: 600, Hash: root}}.String()
	signed := must(note.Sign(&note.Note{Text: checkpoint}, old, next, witness))
	proofFile := torchwood.FormatProofWithExtraData(255, []byte("extra"), must(tlog.ProveRecord(600, 255, stored)), signed)
	opened := must(note.Open(signed, note.VerifierList(witness.Verifier())))
	at := must(torchwood.CosignatureTimestamp(opened.Sigs[0]))
	paths := map[string][3]int64{}
	for _, t := range []tlog.Tile{{H: 8, L: 0, N: 0, W: 1}, {H: 8, L: 63, N: 1234067, W: 255}, {H: 8, L: 5, N: 999, W: 256},
		{H: 8, L: 1, N: 1000, W: 256}, {H: 8, L: -1, N: 1000000, W: 7}} {
		paths[torchwood.TilePath(t)] = [3]int64{int64(t.L), t.N, int64(t.W)}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	out.SetEscapeHTML(false)
	out.Encode(map[string]any{"origin": origin, "roots": roots, "inclusions": inclusions, "consistencies": consistencies,
		"tiles": tiles, "bundles": bundles, "paths": paths, "old_key": oldKey, "next_key": nextKey,
		"witness": witness.Verifier().String(), "witnessed_at": at,
		"checkpoint": string(signed), "proof": string(proofFile)})
}
