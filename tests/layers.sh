#!/bin/bash
# Checks the arrows between folders: a file includes from its own folder and from those below it,
# and what has to run in a simulator touches neither sockets, nor clocks, nor chance.
# Prints the offending lines.
#
#   tests/layers.sh [DIR]    DIR: a tree to look at instead of this one
set -u
cd "${1:-$(dirname "$0")/..}" || exit 1
status=0

# The first layer named may include from the folders after it, and no others.
# may FOLDER ALLOWED…
may() {
    local folder=$1 allowed files
    shift
    allowed=$(printf '|%s' "$@")
    mapfile -t files < <(find "$folder" -maxdepth 1 -name '*.[ch]' | sort)
    [ "${#files[@]}" -eq 0 ] && return
    if grep -nE '^ *# *include *"' "${files[@]}" /dev/null |
        grep -vE "# *include *\"(${allowed#|})/[^/\"]*\""; then
        echo "  $folder may include only from: $*"
        status=1
    fi
}

# never PATTERN WHAT FOLDER…: no line of code there may match, outside of $volley.
never() {
    local pattern=$1 what=$2
    shift 2
    if grep -rnE --include='*.[ch]' "$pattern" "$@" | grep -v "^$volley:" | grep -vE ':[0-9]+: *(/?\*|//)'; then
        echo "  $what has no place in: $*"
        status=1
    fi
}

may common common
may server/store server/store common
may server/core server/core server/store common
may server/net server/net server/core server/store common
may server server server/net server/core server/store common
may client client common

pure=(common server/core server/store)
# One file of common may: the volley, which server/net and kvcli's bench share. So what is pure must
# not include it.
volley=common/volley.c
never '# *include *<(event2?/|sys/socket|netinet/|netdb|poll|sys/epoll|sys/select|liburing)' "a socket" "${pure[@]}"
never '# *include *"common/volley\.h"' "a socket" "${pure[@]}"
never '# *include *<(jansson|lmdb|pthread|threads)' "a library of the layers above" server/core server/store
never '\<(time|clock_gettime|gettimeofday|clock|nanosleep|usleep|sleep|timespec_get)\(' "a clock" "${pure[@]}"
never '\<(rand|srand|random|srandom|rand_r|drand48|getrandom|getentropy|arc4random|RAND_bytes)\(' "chance" "${pure[@]}"
never '\<(getenv|fork|system|popen|signal|sigaction)\(' "the process" "${pure[@]}"
never '# *include *<event2/' "libevent" client server/core server/store common

# No data that outlives a call and can change: asked of the compiled files, which know.
for object in build/obj/common/*.o build/obj/server/core/*.o build/obj/server/store/*.o; do
    if [ -e "$object" ] &&
        objdump -t "$object" | grep -E ' (\.t?data|\.t?bss|\*COM\*)(\.[^r]\S*)?\s+0*[1-9a-f]'; then
        echo "  static mutable data has no place in: $object"
        status=1
    fi
done

exit "$status"
