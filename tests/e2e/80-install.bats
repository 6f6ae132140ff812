# What `make install` puts where, and that a stranger's program can use it.

load helpers

setup() {
    root=$BATS_TEST_TMPDIR/root
    make -s -C "$repository" install DESTDIR="$root" PREFIX=/usr
    export PKG_CONFIG_PATH=$root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
}

teardown() { end_all; }

@test "install: the programs run, the manual pages and the completion are there" {
    "$root/usr/bin/dht-server" --version
    "$root/usr/bin/kvcli" --version
    mandoc -T lint -W error "$root"/usr/share/man/man1/kvcli.1 "$root"/usr/share/man/man8/dht-server.8
    bash -n "$root/usr/share/bash-completion/completions/kvcli"
    "$root/usr/bin/dht-server" --check-config --config "$root/usr/share/doc/dht/dht-server.conf"
}

@test "install: bash completes the options a command takes, by any of its names" {
    completed() { # the words of a line, the last to be completed
        bash -c 'source "$0"; COMP_WORDS=(kvcli "$@"); COMP_CWORD=$#; _kvcli; echo "${COMPREPLY[*]}"' \
            "$root/usr/share/bash-completion/completions/kvcli" "$@"
    }
    [ "$(completed pu)" = put ]
    [ "$(completed put k --t)" = "--timeout --ttl" ]
    [ "$(completed set k --t)" = "--timeout --ttl" ]
    [ "$(completed set '')" = "" ]
    [ "$(completed remove k --c)" = --cas ]
    [ "$(completed --vers)" = --version ]
    [ "$(completed get k --vers)" = "" ]
}

@test "install: a C program finds the library through pkg-config, shared or static" {
    cat >"$BATS_TEST_TMPDIR/app.c" <<'END'
#include <dht.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct dht *dht = dht_open(argv[argc - 1], NULL);
    struct dht_answer answer;

    if (dht_set(dht, "greeting", "hello", 5, 60) != DHT_OK ||
        dht_get(dht, "greeting", &answer) != DHT_OK) {
        fprintf(stderr, "%s\n", dht_why(dht));
        return 1;
    }
    printf("%.*s\n", (int)answer.value_bytes, answer.value);
    dht_close(dht);
    return 0;
}
END
    start_node
    # shellcheck disable=SC2046 # words
    cc -Wall -Wextra -Werror -o "$BATS_TEST_TMPDIR/shared" "$BATS_TEST_TMPDIR/app.c" \
        $(pkg-config --cflags --libs libdht)
    run env LD_LIBRARY_PATH="$root/usr/lib" "$BATS_TEST_TMPDIR/shared" "127.0.0.1:$port"
    [ "$output" = hello ]
    # shellcheck disable=SC2046
    cc -o "$BATS_TEST_TMPDIR/static" "$BATS_TEST_TMPDIR/app.c" $(pkg-config --cflags libdht) \
        "$root/usr/lib/libdht.a" $(pkg-config --static --libs-only-l libdht | sed 's/-ldht//')
    run "$BATS_TEST_TMPDIR/static" "127.0.0.1:$port"
    [ "$output" = hello ]
}

@test "install: the library's names all begin with dht_" {
    run bash -c "nm --defined-only --extern-only '$root/usr/lib/libdht.a' | awk 'NF == 3 { print \$3 }' |
        grep -v '^dht_'"
    [ "$output" = "" ]
    nm -D --defined-only "$root/usr/lib/libdht.so" | grep -q ' T dht_open$'
    run bash -c "nm -D --defined-only '$root/usr/lib/libdht.so' | grep -v ' dht_'"
    [ "$output" = "" ]
}
