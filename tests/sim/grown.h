/* Lists that grow by one. */
#ifndef DHT_TESTS_SIM_GROWN_H
#define DHT_TESTS_SIM_GROWN_H

#include <stddef.h>

/* Room for one more element of size bytes behind count of them.
 *
 * list      from here, or NULL with a capacity of 0; gives: free.
 * capacity  in elements; updated.
 * Returns the list, which may have moved. */
void *grown(void *list, size_t count, size_t *capacity, size_t size);

#endif
