#!/usr/bin/env bash
# Builds the Debian packages of gateway and server.
#
#   build.sh OUT VERSION ARCH...     ARCH is amd64, arm64 or armhf
#
# The programs are static, so each package fits every Debian, Ubuntu and
# Raspberry Pi OS with systemd; armhf runs on ARMv6 too (Pi Zero, Pi 1).
set -euo pipefail
cd "$(dirname "$0")/../.."

out=$1 version=$2
shift 2
mkdir -p "$out"

# Two builds of one commit are the same file.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
for arch in "$@"; do
	case $arch in
	amd64) goarch=amd64 goarm= nfpm=amd64 ;;
	arm64) goarch=arm64 goarm= nfpm=arm64 ;;
	armhf) goarch=arm goarm=6 nfpm=arm6 ;;
	*)
		echo "build.sh: no packages for $arch: want amd64, arm64 or armhf" >&2
		exit 1
		;;
	esac
	CGO_ENABLED=0 GOOS=linux GOARCH=$goarch GOARM=$goarm go build -trimpath -ldflags="-s -w -X main.version=$version" \
		-o "$tmp/$arch/" ./cmd/perrondrukte ./cmd/perron-gateway
	for package in perron-gateway perrondrukte; do
		DEB_ARCH=$nfpm DEB_VERSION=$version BIN_DIR=$tmp/$arch \
			go tool -modfile=tools/go.mod nfpm package --packager deb --config "packaging/deb/$package.nfpm" \
			--target "$out/${package}_${version}_$arch.deb" >/dev/null
		echo "$out/${package}_${version}_$arch.deb"
	done
done
