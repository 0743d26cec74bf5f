/* certs.h for tests that are no C programs: mkcerts FOLDER | mkcerts FOLDER server NAME SERIAL | mkcerts FOLDER revoke alice */
#include <stdlib.h>
#include <string.h>

#include "certs.h"

int main(int argc, char **argv)
{
    if (argc == 2)
        certs_make(argv[1]);
    else if (argc == 5 && strcmp(argv[2], "server") == 0)
        certs_make_server(argv[1], argv[3], atol(argv[4]));
    else if (argc == 4 && strcmp(argv[2], "revoke") == 0)
        certs_revoke(argv[1], strcmp(argv[3], "alice") == 0);
    else
        return 2;
    return 0;
}
