/* Stands in until the command table exists: says which version this is. */
#include <stdio.h>

int main(void)
{
    puts("tenure " TENURE_VERSION);
    return 0;
}
