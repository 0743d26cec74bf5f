/* JSON Schema (draft 4) by RapidJSON, as one function for C: the shared object that src/lib/config_schema.c loads when there is
 * a schema. Nothing else of ours is C++ at run time. */
#include <cstddef>
#include <cstdio>
#include <cstring>

#include <rapidjson/document.h>
#include <rapidjson/pointer.h>
#include <rapidjson/schema.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

namespace
{

/* Cut at a character's beginning. */
void copy(const char *from, char *to, std::size_t size)
{
    std::size_t len = std::strlen(from);
    if (len >= size) {
        len = size - 1;
        while (len > 0 && (static_cast<unsigned char>(from[len]) & 0xc0) == 0x80)
            len--;
    }
    std::memcpy(to, from, len);
    to[len] = 0;
}

/* "type: \"integer\"" */
void say_wanted(const rapidjson::Document &schema, const rapidjson::SchemaValidator &v, char *wanted, std::size_t size)
{
    const char *keyword = v.GetInvalidSchemaKeyword();
    const rapidjson::Value *part = v.GetInvalidSchemaPointer().Get(schema);
    rapidjson::StringBuffer text;
    rapidjson::Writer<rapidjson::StringBuffer> writer(text);
    if (part && part->IsObject() && part->HasMember(keyword))
        (*part)[keyword].Accept(writer);
    char value[160];
    copy(text.GetString(), value, sizeof value);
    std::snprintf(wanted, size, "%s: %s", keyword, value);
}

} // namespace

/* 0 = it fits; 1 = not: where (a JSON pointer) and what was wanted; -1 = the schema is no JSON object; -2 = the document is no
 * JSON. */
extern "C" __attribute__((visibility("default"))) int tenure_schema_check_1(const char *schema, const char *document,
                                                                            char *where, std::size_t where_size,
                                                                            char *wanted, std::size_t wanted_size)
{
    rapidjson::Document s, d;
    where[0] = wanted[0] = 0;
    if (s.Parse(schema).HasParseError() || !s.IsObject())
        return -1;
    if (d.Parse(document).HasParseError())
        return -2;
    rapidjson::SchemaDocument compiled(s);
    rapidjson::SchemaValidator validator(compiled);
    if (d.Accept(validator))
        return 0;
    rapidjson::StringBuffer pointer;
    validator.GetInvalidDocumentPointer().Stringify(pointer);
    copy(pointer.GetString(), where, where_size);
    say_wanted(s, validator, wanted, wanted_size);
    return 1;
}
