# deps.sh - what ./run and ./test need from Debian, and how they get it; sourced by both
BUILD_PACKAGES="openssl gcc libc6-dev cmake ninja-build pkg-config libssl-dev libevent-dev liblmdb-dev libc-ares-dev
    libpcre2-dev libseccomp-dev libcrypt-dev libncurses-dev"
TEST_PACKAGES="clang libclang-rt-14-dev llvm clang-format libcmocka-dev libjansson-dev python3 python3-pytest python3-dnspython python3-prometheus-client
    python3-pytest-timeout swaks msmtp testssl.sh procmail vacation dovecot-core dovecot-lmtpd dovecot-submissiond libnet-ssleay-perl libauthen-sasl-perl openssl curl procps iproute2 e2fsprogs mount strace mandoc systemd dpkg-dev file debootstrap s-nail mutt
    cron php-cli"
# Peers of the system tests: fetched and unpacked, never installed, because Debian lets only one MTA be installed.
PEER_PACKAGES="postfix bsd-mailx"

say() { printf '%s\n' "$*" >&2; }

missing_packages() {
    local p
    for p in $1; do
        dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed$' || printf '%s ' "$p"
    done
}

# install_packages "LIST" CALLER: installs what is missing, as root or through sudo; otherwise says the one command.
install_packages() {
    local want as=""
    want=$(missing_packages "$1")
    [ -n "$want" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
            as="sudo -n"
        else
            say "$2: these packages are missing; install them with this command and start $2 again:"
            say "    su -c 'apt-get update && apt-get install --no-install-recommends -y $want'"
            return 1
        fi
    fi
    say "$2: installing $want"
    # shellcheck disable=SC2086
    $as env DEBIAN_FRONTEND=noninteractive sh -c "apt-get -qq update && apt-get -qq install -y --no-install-recommends $want" \
        >/dev/null || { say "$2: apt-get could not install: $want"; return 1; }
}

# build PRESET [TARGET...]: configures once, builds; quiet unless it fails.
build() {
    local preset=$1 log
    shift
    log=$(mktemp)
    if ! { cmake --preset "$preset" && cmake --build --preset "$preset" ${1:+--target "$@"}; } >"$log" 2>&1; then
        grep -E 'error|warning|FAILED|Error' "$log" | head -n 40 >&2
        say "the build '$preset' failed; its whole output: $log"
        return 1
    fi
    rm -f "$log"
}
