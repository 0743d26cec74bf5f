/* Stands in until the layer recipes has its first source file. */
typedef int tenure_recipes_layer;
