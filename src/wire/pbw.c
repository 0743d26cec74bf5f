/* The rare end of a message whose length needs more or fewer bytes than were kept free: the message moves. */
#include "wire/pbw.h"

void pbw_end_moved(struct buf *b, struct pbw_mark m, size_t len)
{
    size_t width = pbw_varint_size(len);
    if (width > m.width && !pbw_room(b, width - m.width))
        return;
    uint8_t *length = b->data + m.body - m.width;
    memmove(length + width, length + m.width, len);
    b->len = m.body - m.width + width + len;
    pbw_put_varint(length, len);
}
