/* Stands in until the layer base has its first source file. */
typedef int tenure_base_layer;
