/* Run every loop once on whatever executes this and hold its checksum against the expected one: `check FLAG...`. */
#include <stdio.h>
#include <string.h>

#include "peaks.h"

extern const compute_row compute_rows[];
extern const int compute_count;

static int has(int count, char **flags, const char *needed) {
    char copy[128];
    snprintf(copy, sizeof copy, "%s", needed);
    for (char *flag = strtok(copy, " "); flag != NULL; flag = strtok(NULL, " ")) {
        int found = 0;
        for (int i = 0; i < count; i++) found |= !strcmp(flags[i], flag);
        if (!found) return 0;
    }
    return 1;
}

int main(int count, char **flags) {
    int wrong = 0;
    for (int i = 0; i < compute_count; i++) {
        const compute_row *row = &compute_rows[i];
        if (!has(count, flags, row->flags)) continue;
        double found = row->run(16), expected = row->expected(16);
        wrong |= found != expected;
        printf("%s: %s %.0f %.0f\n", found == expected ? "right" : "WRONG", row->name, found, expected);
    }
    return wrong;
}
