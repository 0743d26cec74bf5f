/* JSON <-> protobuf, for any message of the API, along the descriptors that protobuf-c generated. Pure.
 *
 * In (as Go's protojson with unknown fields discarded, which is how etcd reads): names as in the proto or in camel case;
 * whole numbers as numbers or strings; bytes in base64, either alphabet, padded or not; enums by name or number; null and
 * unknown fields and enum names are passed over; a field given twice, or two of a oneof, is an error.
 * Out: names as in the proto, fields in their order, 64-bit numbers as strings, defaults left out, enums by name.
 */
#ifndef HTTP_TRANSCODE_H
#define HTTP_TRANSCODE_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "base/error.h"

/* json: a value whose syntax json_scan found right. Appends the message. 0, TENURE_EPROTOCOL with what protojson says, or
 * TENURE_ENOMEM. */
int transcode_from_json(const ProtobufCMessageDescriptor *d, bytes json, struct buf *out, struct tenure_error *err)
    MUST_USE;
/* Appends the object; errors of memory stay in out. False: message is no such message, and out holds nonsense. */
bool transcode_to_json(const ProtobufCMessageDescriptor *d, bytes message, struct buf *out) MUST_USE;

#endif
