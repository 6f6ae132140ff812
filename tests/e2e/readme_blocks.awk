# Splits a Markdown file's fenced blocks into files below DIR: 01.sh, 02.sh … for blocks marked sh, and
# 01.out for an unmarked block, which is what the one before it prints.
/^```/ {
    if (file != "") {
        close(file)
        file = ""
    } else if ($0 == "```sh") {
        file = sprintf("%s/%02d.sh", DIR, ++number)
        printf "" >file
    } else {
        file = sprintf("%s/%02d.out", DIR, number)
        printf "" >file
    }
    next
}
file != "" { print >file }
