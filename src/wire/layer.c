/* Stands in until the layer wire has its first source file. */
typedef int tenure_wire_layer;
