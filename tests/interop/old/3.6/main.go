// Command 3.6 is the last etcd 3.6, built from the published module: data come from it into `tenure serve`.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
