/* A roll call: what every member of a cluster says of itself, and what that means for the whole. */
#ifndef DHT_CLIENT_CLI_ROLL_H
#define DHT_CLIENT_CLI_ROLL_H

#include "client/cli_ask.h"
#include "common/node_report.h"

/* One member of the view, and what it said. */
struct roll_row {
    const struct status_member *member; /* borrowed from first */
    bool is_heard;
    struct node_status status;   /* owned; of one that is heard */
    char why[CLI_WHY_BYTES_MAX]; /* of one that is not */
    uint32_t leads;              /* slots of the view's ring */
};

struct roll {
    struct node_status first; /* owned; whose view it is: that of the highest epoch that was met */
    struct roll_row *rows;    /* owned; first.member_count */
    uint32_t full_count;      /* full members, up or down */
    /* The verdict, in slots: together SLOT_COUNT where there is a view. */
    uint32_t whole;            /* every copy there is to be is there and synced */
    uint32_t under_replicated; /* served, but a copy is missing or behind */
    uint32_t unavailable;      /* not served, or nobody tells */
    uint64_t losses;
    uint64_t tombstones;
    bool is_well; /* all of them whole, and all members up and heard, but those on their way out */
};

/* Asks any server for its view, then every member of it. roll: to be closed on CLI_DONE; else what
 * went wrong has been said. Returns a cli_exit. */
int roll_call(struct cli *cli, const struct cli_options *options, struct roll *roll);
void roll_close(struct roll *roll);

/* Fills in full_count, leads and the verdict, from first and what the rows have heard. */
void roll_judge(struct roll *roll);

/* A member's two letters: U up, D down, S suspected, ? up but not heard; then N full, J joiner,
 * L leaving, X going out. */
/* Whether a row's member was asked for its status: not where none of its process is there. */
bool roll_was_asked(const struct roll_row *row);
void roll_letters(const struct roll_row *row, char letters[3]);
/* The next thing a person should know, behind the verdict; NULL: there is no more. number 0 first.
 */
const char *roll_note(const struct roll *roll, uint32_t *number, char text[CLI_WHY_BYTES_MAX]);

#endif
