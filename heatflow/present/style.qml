<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.28" styleCategories="Symbology">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="{band}" opacity="0.8" alphaBand="-1" classificationMin="{low:.6g}" classificationMax="{high:.6g}">
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" clip="0" classificationMode="1" minimumValue="{low:.6g}" maximumValue="{high:.6g}">
{items}        </colorrampshader>
      </rastershader>
    </rasterrenderer>
  </pipe>
</qgis>
