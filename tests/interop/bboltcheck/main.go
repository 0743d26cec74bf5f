// Command bboltcheck is what `bbolt check` does: bbolt's own look at a whole file.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/bbolt"
)

func main() {
	db, err := bbolt.Open(os.Args[1], 0o400, &bbolt.Options{ReadOnly: true, PreLoadFreelist: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	failed := 0
	_ = db.View(func(tx *bbolt.Tx) error {
		for fault := range tx.Check() {
			fmt.Fprintln(os.Stderr, fault)
			failed = 1
		}
		return nil
	})
	os.Exit(failed)
}
