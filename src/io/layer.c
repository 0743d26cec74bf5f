/* Stands in until the layer io has its first source file. */
typedef int tenure_io_layer;
