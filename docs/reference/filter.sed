# Our plain comments as doxygen wants them: a comment behind a declaration, then one above.
/^#/!s,<\([a-z_ ]*\)>,\&lt;\1\&gt;,g
s,\([;\,{)a-zA-Z0-9_] *\)/\* \(.*\) \*/ *$,\1/**< \2 */,
s,^\( *\)/\* ----.*,,
s,^\( *\)/\* ,\1/** ,
